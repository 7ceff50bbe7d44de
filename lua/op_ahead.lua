-- OP_AHEAD: what will be asked of these names of a directory, at once: entries, attributes, records of chunk 0, and
-- whether there are extended attributes.  data: n * (u8 length, name), or none: a page of them, about len.
do
    local NAMES_MAX, PAGE_MAX, BYTES_MAX = 1000, 512, 1048576

    local function names_of(s)
        local names, at = {}, 1
        while at <= #s do
            local n = byte(s, at)
            if n == 0 or at + n > #s or #names == NAMES_MAX then
                return nil
            end
            names[#names + 1] = sub(s, at + 1, at + n)
            at = at + 1 + n
        end
        return names
    end

    -- The entry of each name; without names, of those that are added to them.
    local function entries_of(op, names)
        local key, entries = num.key("d", op.base), {}
        if #names > 0 then
            return call("HMGET", key, unpack(names))
        end
        local page = call("HSCAN", key, "0", "COUNT", math.max(1, math.min(op.len, PAGE_MAX)))[2]
        for i = 1, math.min(#page, 2 * NAMES_MAX), 2 do
            names[#names + 1] = page[i]
            entries[#names] = page[i + 1]
        end
        return entries
    end

    local function keys_of(letter, inos)
        local keys = {}
        for i, ino in ipairs(inos) do
            keys[i] = P .. letter .. ino
        end
        return keys
    end

    ops[27] = function(env, op)
        local dir, names = attr.load(op.base), names_of(op.data)
        if not names then
            return fail(E.INVAL)
        elseif not dir then
            return fail(E.NOENT)
        elseif dir.type ~= T.DIR then
            return fail(E.NOTDIR)
        end
        local entries = entries_of(op, names)
        local found, inos = {}, {}
        for i, name in ipairs(names) do
            if entries[i] and #entries[i] == 9 then
                found[#found + 1] = { name, entries[i] }
                inos[#inos + 1] = num.dec(sub(entries[i], 2))
            end
        end
        if #inos == 0 then
            return 0, op.base, dir.raw, dir.parent, 0, ""
        end
        local raws = call("MGET", unpack(keys_of("i", inos)))
        local xkeys = keys_of("x", inos)
        local any = call("EXISTS", unpack(xkeys)) > 0
        local parts, n, bytes = {}, 0, 0
        for i, one in ipairs(found) do
            local name, entry, raw = one[1], one[2], raws[i]
            if raw and bytes < BYTES_MAX then
                local has = any and call("EXISTS", xkeys[i]) or 0
                local records = byte(entry, 1) == T.FILE and
                    concat(call("LRANGE", P .. "c" .. inos[i] .. "_0", 0, -1)) or ""
                parts[n + 1] = pack(">H", #name)
                parts[n + 2] = name
                parts[n + 3] = entry
                parts[n + 4] = pack(">H", #raw)
                parts[n + 5] = raw
                parts[n + 6] = pack(">BI4", has, #records)
                parts[n + 7] = records
                n = n + 7
                bytes = bytes + #name + #raw + #records + 18
            end
        end
        return 0, op.base, dir.raw, dir.parent, 0, concat(parts)
    end
end
