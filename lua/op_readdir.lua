-- OP_READDIR: a page of a directory with attrs.  off is HSCAN's cursor (below 2^53: it has as many bits as the hash
-- table), len how many entries are wanted.  A path asks for read permission, "" is a directory the caller has open.
do
    local PAGE, PAGE_MAX, MGET_MAX = 512, 4096, 1000
    local keys, parts = {}, {} -- of one directory after another: they have room then

    ops[3] = function(env, op)
        local w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.object(w, opcodec.has(op, F.NOFOLLOW))
        if err then
            return walk.fail(w, err)
        elseif w.attr.type ~= T.DIR then
            return fail(E.NOTDIR)
        elseif op.path ~= "" and not opcodec.has(op, F.BY_FD) and not perm.check(op, w.attr, 4) then
            return fail(E.ACCES)
        end
        local count = op.len == 0 and PAGE or math.min(op.len, PAGE_MAX)
        local page = call("HSCAN", num.key("d", w.ino), format("%.0f", op.off), "COUNT", count)
        local list, two = page[2], num.two
        for i = 2, #list, 2 do
            keys[i / 2] = num.entry_key(list[i])
        end
        local n, last = 1, #list / 2
        parts[1] = pack(">I8", tonumber(page[1]))
        for first = 1, last, MGET_MAX do
            local to = math.min(first + MGET_MAX - 1, last)
            local raws = call("MGET", unpack(keys, first, to))
            for i = first, to do
                local name, entry = list[2 * i - 1], list[2 * i]
                local raw = raws[i - first + 1] or ""
                if name ~= "" and #entry == 9 then
                    parts[n + 1] = two[#name]
                    parts[n + 2] = name
                    parts[n + 3] = entry
                    parts[n + 4] = two[#raw]
                    parts[n + 5] = raw
                    n = n + 5
                end
            end
        end
        return 0, w.ino, w.attr.raw, w.parent, 0, concat(parts, "", 1, n)
    end
end
