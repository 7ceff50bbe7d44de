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

-- Removals, many at once by one caller, in any directories: {
--   u8 3, u8 13, u32 uid, u32 gid, u64 sid, u32 n, u32 directories, i64, u32 first now, i64, u32 last now,
--   u16 n groups, groups, u32 + inodes held open, of each directory u64 inode, u32 n
-- }, then directory by directory, of each: u8 + name, u8 kind (13 or 14, OP_RMDIR), u16 its turn (from 0), i64, u32 now,
-- u64 expected inode.  Names of a directory differ from each other.
--
-- The answer, in the order of the items: entries, attrs before the change, and into the trash: its hour directory, else
-- for each inode that gave slices back u16 turn, u16 n, slices; and n.  Or a list of answers, in that of their turns.
do
    local HEAD, ITEM = ">BBI4I4c8I4I4i8I4i8I4H", ">Bc0BHi8I4I4I4"
    local CHUNK = 67108864
    local PER_DIR = {
        "dirDataLength", "dirUsedSpace", "dirUsedInodes", "dirQuota", "dirQuotaUsedSpace", "dirQuotaUsedInodes",
    }

    -- One by one, as ops.
    local function singly(env, g)
        local s, at, list, answers = g.s, g.at + 12 * g.ndirs, {}, {}
        for k = 1, g.ndirs do
            local base, n = unpack_at(">c8I4", s, g.at + 12 * k - 12)
            for _ = 1, n do
                local name, kind, turn, now, expected
                name, kind, turn, now, expected, at = unpack_at(">Bc0BHc12c8", s, at)
                local now_sec, now_nsec = unpack_at(">i8I4", now)
                list[turn + 1] = {
                    kind = kind, flags = 0, uid = g.uid, gid = g.gid, gids = g.gids, now = now, now_sec = now_sec,
                    now_nsec = now_nsec, base = base, sid = g.sid, ino = expected, path = name,
                    data = kind == 13 and g.held or "",
                }
            end
        end
        for i = 1, g.n do
            answers[i] = opcodec.run_op(env, list[i])
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

    -- The directories, with their attrs: may names be taken out of all of them?
    local function load_dirs(g)
        local s, at, dirs, keys, by_number, stem = g.s, g.at, {}, {}, {}, P .. "i"
        for k = 1, g.ndirs do
            local ino, hi, lo = sub(s, at, at + 7), unpack_at(">I4I4", s, at)
            local number, n = num.dec(ino), unpack_at(">I4", s, at + 8)
            dirs[k] = {
                ino = ino, hi = hi, lo = lo, number = number, key = P .. "d" .. number, n = n, last = -1, length = 0,
                space = 0,
            }
            keys[k] = stem .. number
            at = at + 12
        end
        local raws = call("MGET", unpack(keys))
        for k = 1, #dirs do
            local dir, a = dirs[k], raws[k] and attr.decode(raws[k])
            if not a or a.type ~= T.DIR or num.is_trash(dir.ino) or not perm.check(g, a, 3)
                or band(a.flags, A.FROZEN) ~= 0 or (g.uid ~= 0 and band(a.mode, 512) ~= 0) or by_number[dir.number] then
                return false
            end
            dir.a = a
            by_number[dir.number] = dir
        end
        g.dirs, g.by_number, g.items_at = dirs, by_number, at
        return true
    end

    -- The items: names, turns, expected inodes, which are directories.  Their directories are touched on the way, in
    -- memory; `last` is the turn of a directory's last item.
    local function parse(env, g)
        local s, at, p, skip, times = g.s, g.items_at, 0, env.skip_ms, g.hour and {}
        local names, turns, expected, is_dir = {}, {}, {}, {}
        for k = 1, #g.dirs do
            local dir = g.dirs[k]
            local a, sec, nsec, touched = dir.a, nil, nil, false
            sec, nsec = unpack_at(">i8I4", a.mtime)
            for _ = 1, dir.n do
                local kind, turn, now_sec, now_nsec, hi, lo
                p = p + 1
                names[p], kind, turn, now_sec, now_nsec, hi, lo, at = unpack_at(ITEM, s, at)
                turns[p], expected[p], dir.last = turn, hi * 4294967296 + lo, turn
                if kind == 14 then
                    is_dir[p] = true
                    a.nlink = a.nlink - 1
                    sec, nsec, touched = now_sec, now_nsec, true
                elseif (now_sec - sec) * 1000 + (now_nsec - nsec) / 1000000 >= skip then
                    sec, nsec, touched = now_sec, now_nsec, true
                end
                if times then
                    times[p] = sub(s, at - 20, at - 9)
                end
            end
            if touched then
                a.mtime = pack(">i8I4", sec, nsec)
                a.ctime = a.mtime
                dir.changed = attr.encode(a)
            end
        end
        g.names, g.turns, g.expected, g.is_dir, g.times = names, turns, expected, is_dir, times
        return p == g.n
    end

    -- What the entries name.
    local function load_entries(g)
        local names, expected, is_dir, p, all = g.names, g.expected, g.is_dir, 0, {}
        local held, stem, numbers, keys = g.held ~= "" and { data = g.held }, P .. "i", {}, {}
        for k = 1, #g.dirs do
            local dir = g.dirs[k]
            local entries = call("HMGET", dir.key, unpack(names, p + 1, p + dir.n))
            for j = 1, dir.n do
                local entry = entries[j]
                if not entry or #entry ~= 9 then
                    return false
                end
                p = p + 1
                local type, hi, lo = unpack_at(">BI4I4", entry)
                local ino, want = hi * 4294967296 + lo, expected[p]
                if (type == T.DIR) ~= (is_dir[p] or false) or (want ~= ino and want ~= 0) or hi >= 2097152
                    or (held and opcodec.held(held, sub(entry, 2))) then
                    return false
                end
                local number = format("%d", ino)
                numbers[p], keys[p] = number, stem .. number
            end
            all[k] = concat(entries)
        end
        g.entries, g.numbers, g.keys = concat(all), numbers, keys
        return true
    end

    -- A directory that goes is empty when its turn comes: whatever it holds goes before.  nil, or its attr then.
    local function child_attr(g, p, raw)
        local child = g.by_number[g.numbers[p]]
        if call("HLEN", P .. "d" .. g.numbers[p]) ~= (child and child.n or 0) then
            return nil
        elseif child then
            child.is_gone = child.last < g.turns[p]
            return child.is_gone and (child.changed or raw)
        end
        return raw
    end

    -- The attrs: plain files of one chunk, symlinks and the like with this one name, empty directories.
    local function load_attrs(g)
        local numbers, entries, raws, p = g.numbers, g.entries, call("MGET", unpack(g.keys)), 0
        local flags_end, lists, owners, links, stem = g.hour and A.SKIP_TRASH or 256, {}, {}, {}, P .. "c"
        for k = 1, #g.dirs do
            local dir = g.dirs[k]
            local dir_hi, dir_lo, length, space = dir.hi, dir.lo, 0, 4096 * dir.n
            for _ = 1, dir.n do
                p = p + 1
                local raw = raws[p]
                if not raw or #raw ~= 72 then
                    return false
                end
                local flags, high = byte(raw, 1, 2)
                local nlink, len, hi, lo, tier = unpack_at(">I4I8xxxxI4I4B", raw, 48)
                local type = floor(high / 16)
                if lo ~= dir_lo or hi ~= dir_hi or flags % 4 ~= 0 or flags >= flags_end or tier ~= 0
                    or type ~= byte(entries, 9 * p - 8) then
                    return false
                elseif type == T.FILE then
                    if len > 0 then
                        lists[#lists + 1] = stem .. numbers[p] .. "_0"
                        owners[#lists] = p
                        length = length + len
                        space = space + len - 4096 + (len % 4096 == 0 and 0 or 4096 - len % 4096)
                    end
                elseif type == T.SYMLINK then
                    links[#links + 1] = P .. "s" .. numbers[p]
                elseif type == T.DIR then
                    raw = child_attr(g, p, raw)
                    if not raw then
                        return false
                    end
                    raws[p] = raw
                end
                if type ~= T.DIR and (nlink ~= 1 or len > CHUNK) then
                    return false
                end
            end
            dir.length, dir.space = length, space
        end
        g.raws, g.lists, g.owners, g.links = raws, lists, owners, links
        return true
    end

    -- What the keys say before anything is written: true when all can go together.
    local function may_remove(env, g)
        if env.trash then
            g.hour = hour_of(g)
            if not g.hour then
                return false
            end
        end
        if not load_dirs(g) or not parse(env, g) or not load_entries(g) or not load_attrs(g) then
            return false
        end
        for k = 1, #g.dirs do
            g.dirs[k].quotas = acct.quota_dirs(env, g.dirs[k].ino)
        end
        return true
    end

    -- The slices in the lists of the files lose a reference each.  Those without one left belong to the last record, by
    -- turns, that named them.
    local function give_back(g)
        local refs, lists, owners, turns = P .. "sliceRef", g.lists, g.owners, g.turns
        local slices, times, last = {}, {}, {} -- of each slice: its records; turn and place of the last one
        for i = 1, #lists do
            local records = call("LRANGE", lists[i], "0", "-1")
            local turn = turns[owners[i]] * 65536
            for k = 1, #records do
                local record = records[k]
                local slice = #record == 24 and sub(record, 5, 16)
                local before = times[slice]
                if before then
                    times[slice] = before + 1
                    if turn + k > last[slice] then
                        last[slice] = turn + k
                    end
                elseif slice and sub(slice, 1, 8) ~= num.ZERO then
                    slices[#slices + 1] = slice
                    times[slice], last[slice] = 1, turn + k
                end
            end
        end
        table.sort(slices, function(a, b)
            return last[a] < last[b]
        end)
        local out, of, owner = {}, {}, nil
        local function close()
            if #of > 0 then
                out[#out + 1] = pack(">HH", owner, #of) .. concat(of)
            end
        end
        for k = 1, #slices do
            local slice = slices[k]
            local id, size = unpack_at(">c8I4", slice)
            local field = "k" .. num.dec(id) .. "_" .. format("%d", size)
            if call("HINCRBY", refs, field, format("%d", -times[slice])) < 0 then
                local turn = floor(last[slice] / 65536)
                if owner ~= turn then
                    close()
                    of, owner = {}, turn
                end
                of[#of + 1] = slice
            end
        end
        close()
        return concat(out)
    end

    -- The inodes go.
    local function drop_all(g)
        local x, numbers, space, gone = P .. "x", g.numbers, 0, {}
        local extra = give_back(g)
        for i = 1, g.n do
            gone[i] = x .. numbers[i]
        end
        call("DEL", unpack(g.keys))
        call("DEL", unpack(gone))
        if #g.lists > 0 then
            call("DEL", unpack(g.lists))
        end
        if #g.links > 0 then
            call("DEL", unpack(g.links))
        end
        for k = 1, #g.dirs do
            space = space + g.dirs[k].space
        end
        acct.volume(-space, -g.n)
        return extra
    end

    -- They go to the trash.
    local function keep_all(env, g)
        local hour, inodes, entries, length, space, p = g.hour, {}, {}, 0, 0, 0
        for k = 1, #g.dirs do
            local dir, stem = g.dirs[k], g.dirs[k].number .. "-"
            length, space = length + dir.length, space + dir.space
            for _ = 1, dir.n do
                p = p + 1
                local raw = g.raws[p]
                inodes[2 * p - 1] = g.keys[p]
                inodes[2 * p] = sub(raw, 1, 35) .. g.times[p] .. sub(raw, 48, 63) .. hour .. "\0"
                entries[2 * p - 1] = sub(stem .. g.numbers[p] .. "-" .. g.names[p], 1, 255)
                entries[2 * p] = sub(g.entries, 9 * p - 8, 9 * p)
            end
        end
        call("MSET", unpack(inodes))
        call("HSET", num.key("d", hour), unpack(entries))
        acct.stats(env, hour, length, space, g.n)
        return hour
    end

    local function remove_all(env, g)
        local empty, kept, removed, p = {}, {}, {}, 0
        for k = 1, #g.dirs do
            local dir = g.dirs[k]
            if dir.is_gone then -- its last name went
                empty[#empty + 1] = dir.key
            else
                call("HDEL", dir.key, unpack(g.names, p + 1, p + dir.n))
                acct.stats(env, dir.ino, -dir.length, -dir.space, -dir.n)
                if dir.changed then
                    kept[#kept + 1] = P .. "i" .. dir.number
                    kept[#kept + 1] = dir.changed
                end
            end
            p = p + dir.n
            acct.use_quotas(dir.quotas, -dir.space, -dir.n)
        end
        if #kept > 0 then
            call("MSET", unpack(kept))
        end
        if #empty > 0 then
            call("DEL", unpack(empty))
        end
        for i = 1, g.n do
            if g.is_dir[i] then
                removed[#removed + 1] = g.numbers[i]
            end
        end
        for i = 1, #removed > 0 and #PER_DIR or 0 do
            call("HDEL", P .. PER_DIR[i], unpack(removed))
        end
        local rest = g.hour and keep_all(env, g) or drop_all(g)
        return { g.entries, concat(g.raws), rest }
    end

    groups[13] = function(env, s)
        local g, _, ngroups = { s = s }, nil, nil
        _, _, g.uid, g.gid, g.sid, g.n, g.ndirs, g.first_sec, g.first_nsec, g.last_sec, g.last_nsec, ngroups, g.at =
            unpack_at(HEAD, s)
        g.gids = sub(s, g.at, g.at + 4 * ngroups - 1)
        g.held, g.at = unpack_at(">I4c0", s, g.at + 4 * ngroups)
        local ok, may = pcall(may_remove, env, g)
        if not ok or not may then
            return singly(env, g)
        end
        local done
        ok, done = pcall(remove_all, env, g)
        if ok then
            return done, g.n
        end
        return opcodec.raised(done, g.n)
    end
end
