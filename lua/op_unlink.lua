-- OP_UNLINK: unlink(2).  data: inodes that the caller's host holds open.
ops[13] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.to_last(w)
    if err then
        return walk.fail(w, err)
    elseif w.kind ~= "norm" then
        return fail(E.ISDIR)
    end
    local dir, d = w.dir, w.a
    local type, ino = walk.entry(w, w.name)
    if not type then
        return fail(dir == num.ROOT and node.RESERVED[w.name] and E.PERM or E.NOENT)
    elseif op.ino ~= num.ZERO and op.ino ~= ino then
        return fail(E.NOENT)
    elseif w.slash then
        return fail(type == T.DIR and E.ISDIR or E.NOTDIR)
    end
    local a = attr.load(ino)
    err = perm.may_remove(op, w, a)
    if err then
        return fail(err)
    elseif type == T.DIR then
        return fail(E.ISDIR)
    end
    local plan
    if a then
        plan, err = trash.plan(env, op, dir, w.name, ino, a)
        if err then
            return fail(err)
        end
    end

    call("HDEL", num.key("d", dir), w.name)
    if attr.touch(env, op, dir, d, false) then
        attr.save(dir, d)
    end
    if not a then -- an entry that named nothing
        acct.lost_entry(env, dir)
        return 0, ino, "", dir, 0, ""
    end
    acct.entry(env, dir, a, -1)
    if plan then
        trash.put(env, op, plan, dir, ino, a)
        return 0, ino, a.raw, dir, R.TRASHED, ""
    end
    local rflags, extra = trash.drop(env, op, dir, ino, a)
    return 0, ino, a.raw, dir, rflags, extra
end

-- Many at once, all in one directory by one caller: {
--   u8 3, u8 13, u32 uid, u32 gid, u64 base, u64 sid, u32 n, i64, u32 first now, i64, u32 last now,
--   u16 n groups, groups, u32 + inodes held open
-- }, then of each: u8 + name, i64, u32 now, u64 expected
-- inode.  Names differ from each other.
--
-- The answer: entries, attrs before the change, and into the trash: its hour directory, else for each inode that gave
-- slices back u16 index, u16 n, slices; and n.  Or a list of answers.
do
    local HEAD = ">BBI4I4c8c8I4i8I4i8I4H"
    local CHUNK = 67108864

    -- One by one, as ops.
    local function singly(env, g)
        local at, answers = g.at, {}
        for i = 1, g.n do
            local name, now, expected
            name, now, expected, at = unpack_at(">Bc0c12c8", g.s, at)
            local now_sec, now_nsec = unpack_at(">i8I4", now)
            answers[i] = opcodec.run_op(env, {
                kind = 13, flags = 0, uid = g.uid, gid = g.gid, gids = g.gids, now = now, now_sec = now_sec,
                now_nsec = now_nsec, base = g.base, sid = g.sid, ino = expected, path = name, data = g.held,
            })
        end
        return answers
    end

    -- The hour directory that all of them go to; nil: none that is there, or not the same.
    local function hour_of(g)
        local hour = trash.hour_name(g.first_sec)
        local found = hour == trash.hour_name(g.last_sec) and call("HGET", P .. "d" .. num.dec(num.TRASH), hour)
        if found then
            local _, dir = attr.of_entry(found)
            return dir
        end
        return nil
    end

    -- What the keys say before anything is written: true when all can go together, which are plain files of one
    -- chunk, symlinks and the like, each with this one name, that nobody holds open or protects.
    local function may_unlink(env, g)
        local dir, s, at, names, times, expected = g.base, g.s, g.at, {}, {}, {}
        local d = attr.load(dir)
        if not d or d.type ~= T.DIR or num.is_trash(dir) or not perm.check(g, d, 3) or band(d.flags, A.FROZEN) ~= 0
            or (g.uid ~= 0 and band(d.mode, 512) ~= 0) then
            return false
        end
        if env.trash then
            g.hour = hour_of(g)
            if not g.hour then
                return false
            end
        end
        for i = 1, g.n do
            names[i], times[i], expected[i], at = unpack_at(">Bc0c12c8", s, at)
        end
        g.key, g.names, g.d, g.times = num.key("d", dir), names, d, times
        local entries, numbers, keys = call("HMGET", g.key, unpack(names)), {}, {}
        local stem = P .. "i"
        for i = 1, g.n do
            local entry = entries[i]
            if not entry or #entry ~= 9 or byte(entry, 1) == T.DIR then
                return false
            end
            local hi, lo = unpack_at(">I4I4", entry, 2)
            local other = expected[i] ~= num.ZERO and expected[i] ~= sub(entry, 2)
            if other or hi >= 2097152 or (g.held ~= "" and opcodec.held({ data = g.held }, sub(entry, 2))) then
                return false
            end
            local number = format("%.0f", hi * 4294967296 + lo)
            numbers[i], keys[i] = number, stem .. number
        end
        local raws, lengths, space, length = call("MGET", unpack(keys)), {}, 0, 0
        for i = 1, g.n do
            local raw = raws[i]
            if not raw or #raw ~= 72 then
                return false
            end
            local flags, high, nlink, len, parent = unpack_at(">BB", raw)
            nlink, len, parent = unpack_at(">I4I8xxxxc8", raw, 48)
            local type = floor(high / 16)
            if nlink ~= 1 or parent ~= dir or type ~= byte(entries[i], 1) or len > CHUNK or flags % 4 ~= 0
                or (g.hour and flags >= A.SKIP_TRASH) or byte(raw, 72) ~= 0 then
                return false
            end
            if type == T.FILE then
                lengths[i] = len
                length = length + len
                space = space + acct.usage(len)
            else
                space = space + 4096
            end
        end
        g.entries, g.numbers, g.raws, g.lengths, g.keys, g.space, g.length = entries, numbers, raws, lengths, keys,
            space, length
        return true
    end

    local function item_time(s, at)
        local _, sec, nsec
        _, sec, nsec, _, at = unpack_at(">Bc0i8I4c8", s, at)
        return at, sec, nsec, false
    end

    -- Lists of the files, as LRANGE gives them: their slices lose a reference each.  Keys of the lists go to `gone`.
    -- Slices without one left belong to the last record that named them.
    local function give_back(g, gone)
        local refs, stem = P .. "sliceRef", P .. "c"
        local slices, owners, n, last, times = {}, {}, 0, {}, {}
        for i = 1, g.n do
            local len = g.lengths[i]
            if len and len > 0 then
                local key = stem .. g.numbers[i] .. "_0"
                local records = call("LRANGE", key, 0, -1)
                if #records > 0 then
                    gone[#gone + 1] = key
                end
                for k = 1, #records do
                    local slice = sub(records[k], 5, 16)
                    if #records[k] == 24 and sub(slice, 1, 8) ~= num.ZERO then
                        n = n + 1
                        slices[n], owners[n], last[slice], times[slice] = slice, i, n, (times[slice] or 0) + 1
                    end
                end
            end
        end
        local out, of, owner = {}, {}, nil
        local function close()
            if #of > 0 then
                out[#out + 1] = pack(">HH", owner - 1, #of) .. concat(of)
            end
        end
        for k = 1, n do
            local slice = slices[k]
            if last[slice] == k then
                local id, size = unpack_at(">c8I4", slice)
                local field = "k" .. num.dec(id) .. "_" .. format("%.0f", size)
                if call("HINCRBY", refs, field, -times[slice]) < 0 then
                    if owner ~= owners[k] then
                        close()
                        of, owner = {}, owners[k]
                    end
                    of[#of + 1] = slice
                end
            end
        end
        close()
        return concat(out)
    end

    -- The inodes go.
    local function drop_all(g)
        local gone, x, s = {}, P .. "x", P .. "s"
        local extra = give_back(g, gone)
        for i = 1, g.n do
            local number = g.numbers[i]
            gone[#gone + 1] = x .. number
            if byte(g.entries[i], 1) == T.SYMLINK then
                gone[#gone + 1] = s .. number
            end
        end
        call("DEL", unpack(g.keys))
        call("DEL", unpack(gone))
        acct.volume(-g.space, -g.n)
        return extra
    end

    -- They go to the trash.
    local function keep_all(env, g)
        local hour, inodes, entries, stem = g.hour, {}, {}, num.dec(g.base) .. "-"
        for i = 1, g.n do
            local raw, k = g.raws[i], 2 * i
            inodes[k - 1] = g.keys[i]
            inodes[k] = sub(raw, 1, 35) .. g.times[i] .. sub(raw, 48, 63) .. hour .. "\0"
            entries[k - 1] = sub(stem .. g.numbers[i] .. "-" .. g.names[i], 1, 255)
            entries[k] = g.entries[i]
        end
        call("MSET", unpack(inodes))
        call("HSET", num.key("d", hour), unpack(entries))
        acct.stats(env, hour, g.length, g.space, g.n)
        return hour
    end

    local function unlink_all(env, g)
        local dir = g.base
        call("HDEL", g.key, unpack(g.names))
        if attr.touch_run(env, g, item_time, false) then
            attr.save(dir, g.d)
        end
        acct.stats(env, dir, -g.length, -g.space, -g.n)
        acct.quota(env, dir, -g.space, -g.n)
        return { concat(g.entries), concat(g.raws), g.hour and keep_all(env, g) or drop_all(g) }
    end

    groups[13] = function(env, s)
        local g, _, ngroups, held = { s = s }, nil, nil, nil
        _, _, g.uid, g.gid, g.base, g.sid, g.n, g.first_sec, g.first_nsec, g.last_sec, g.last_nsec, ngroups, g.at =
            unpack_at(HEAD, s)
        g.gids = sub(s, g.at, g.at + 4 * ngroups - 1)
        held, g.at = unpack_at(">I4c0", s, g.at + 4 * ngroups)
        g.held = held
        local ok, may = pcall(may_unlink, env, g)
        if not ok or not may then
            return singly(env, g)
        end
        local done
        ok, done = pcall(unlink_all, env, g)
        if ok then
            return done, g.n
        end
        return opcodec.raised(done, g.n)
    end
end
