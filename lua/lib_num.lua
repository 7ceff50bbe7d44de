-- num - 64-bit numbers as 8 big-endian bytes.  Lua's doubles hold 53 bits, trash inodes need 63.
--
-- Byte strings must never be compared with < or >: Redis sets a locale, and Lua then compares by strcoll().

num.ZERO = "\0\0\0\0\0\0\0\0"
num.ROOT = "\0\0\0\0\0\0\0\1"
num.TRASH = "\127\255\255\255\016\0\0\0" -- the trash root, 9223372032828243968

local known = {}

-- Decimal text of 8 bytes (unsigned).
function num.dec(b)
    local s = known[b]
    if s then
        return s
    end
    local hi, lo = unpack_at(">I4I4", b)
    if hi < 2097152 then
        s = format("%d", hi * 4294967296 + lo)
    else
        -- three limbs of 10^7, 16 bits at a time
        local x, y, z = 0, 0, 0
        for i = 1, 7, 2 do
            local n = z * 65536 + byte(b, i) * 256 + byte(b, i + 1)
            z = n % 10000000
            n = y * 65536 + (n - z) / 10000000
            y = n % 10000000
            x = x * 65536 + (n - y) / 10000000
        end
        s = format("%.0f%07.0f%07.0f", x, y, z)
    end
    known[b] = s
    return s
end

-- Key of the inode that an entry (u8 type, 8 bytes) names.
local stem = P .. "i"
function num.entry_key(entry)
    if #entry == 9 then
        local hi, lo = unpack_at(">I4I4", entry, 2)
        if hi < 2097152 then
            return stem .. format("%d", hi * 4294967296 + lo)
        end
    end
    return stem .. num.dec(sub(entry, 2))
end

-- A length as 2 bytes: num.two[n].
num.two = setmetatable({}, {
    __index = function(known_lengths, n)
        local s = pack(">H", n)
        known_lengths[n] = s
        return s
    end,
})

-- 8 bytes of a decimal text of 1 to 20 digits.
function num.bytes(s)
    if #s <= 15 then
        return pack(">I8", tonumber(s))
    end
    local w = { 0, 0, 0, 0 }
    for i = 1, #s do
        local carry = byte(s, i) - 48
        for j = 4, 1, -1 do
            local n = w[j] * 10 + carry
            w[j] = n % 65536
            carry = (n - w[j]) / 65536
        end
    end
    return pack(">HHHH", w[1], w[2], w[3], w[4])
end

-- Key of an inode: num.key("i", ino), "d", "p", "s", "x".
function num.key(letter, ino)
    return P .. letter .. num.dec(ino)
end

-- The trash root or an hour directory (an inode that is part of the trash's own tree).
function num.is_trash(ino)
    if byte(ino, 1) ~= 127 then
        return false
    end
    local hi, lo = unpack_at(">I4I4", ino)
    return hi == 2147483647 and lo >= 268435456
end

-- An object with this Parent was removed: it is an entry of an hour directory.
function num.in_trash(parent)
    return byte(parent, 1) == 127 and parent ~= num.TRASH and num.is_trash(parent)
end

-- The n-th hour directory (n as `nextTrash` counts).
function num.trash_dir(n)
    return pack(">I4I4", 2147483647, 268435456 + n)
end
