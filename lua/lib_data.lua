-- data - what all changes of a file's content share: zero records, stamps, privileges (juicefs-format.md 3.4, 5.7, 8.3).
--
-- A file's bytes are lists of records, one list for each chunk of 64 MiB; nothing is ever removed from a list here.
-- Lengths are Lua numbers, exact below 2^53: a longer file can be read, but changing its content is EFBIG.
data.CHUNK = 67108864
data.LENGTH_MAX = 9007199254740991

-- A write or truncate by somebody else than root takes away setuid, and setgid where group-execute is set or the
-- group is not the writer's.  True: a.mode was changed.
function data.drop_priv(op, a)
    local drop = band(a.mode, 2048)
    if band(a.mode, 1024) ~= 0 and (band(a.mode, 8) ~= 0 or not perm.in_group(op, a.gid)) then
        drop = drop + 1024
    end
    a.mode = a.mode - drop
    return drop ~= 0
end

-- The same where the caller of the op asks for it by KILLPRIV.
function data.kill_priv(op, a)
    return a.mode >= 1024 and op.flags % 512 >= F.KILLPRIV and a.type == T.FILE and data.drop_priv(op, a)
end

-- Sets mtime after a change of content.  It never stays what it was: stock's readers keep what they cached of a file
-- whose mtime did not change.
function data.stamp(a, mtime)
    if mtime == a.mtime then
        local sec, nsec = unpack_at(">i8I4", mtime)
        if nsec >= 999999999 then
            sec, nsec = sec + 1, -1
        end
        mtime = pack(">i8I4", sec, nsec + 1)
    end
    a.mtime = mtime
end

-- Keys of the lists c{ino}_first .. c{ino}_last; some may not exist.  A range far longer than the database has keys
-- is answered from the names of the keys.
function data.lists(ino, first, last)
    local stem = P .. "c" .. num.dec(ino) .. "_"
    local keys = {}
    if last - first < 10000 or last - first < call("DBSIZE") then
        for k = first, last do
            keys[#keys + 1] = stem .. format("%.0f", k)
        end
        return keys
    end
    local seen, cursor = {}, "0"
    repeat
        local page = call("SCAN", cursor, "MATCH", stem .. "*", "COUNT", 10000)
        cursor = page[1]
        for _, key in ipairs(page[2]) do
            local k = tonumber(sub(key, #stem + 1))
            if k and k >= first and k <= last and not seen[key] then
                seen[key] = true
                keys[#keys + 1] = key
            end
        end
    until cursor == "0"
    return keys
end

local function zero_record(pos, len)
    return pack(">I4c8I4I4I4", pos, num.ZERO, 0, 0, len)
end

-- Makes bytes [from, to) of a file zeros, from < to.  `middle` is the command for whole chunks after the first one:
-- RPUSHX where a list that does not exist may stay so (it means zeros too), else RPUSH.
function data.zero(ino, from, to, middle)
    local CHUNK = data.CHUNK
    local stem = P .. "c" .. num.dec(ino) .. "_"
    local first, last = floor(from / CHUNK), floor(to / CHUNK)
    local pos, tail = from - first * CHUNK, to - last * CHUNK
    if first == last then
        call("RPUSH", stem .. format("%.0f", first), zero_record(pos, to - from))
        return
    end
    call("RPUSH", stem .. format("%.0f", first), zero_record(pos, CHUNK - pos))
    if last - first > 1 then
        local whole = zero_record(0, CHUNK)
        -- beyond 10000 chunks only what exists: a hole of a terabyte must not become lists of zeros
        local command = last - first > 10000 and "RPUSHX" or middle
        for _, key in ipairs(data.lists(ino, first + 1, last - 1)) do
            call(command, key, whole)
        end
    end
    if tail > 0 then
        call("RPUSH", stem .. format("%.0f", last), zero_record(0, tail))
    end
end
