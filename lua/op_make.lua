-- OP_MAKE: a new name with all that happened to it before it was sent.  data: its attr, then records or a target.
load_op(18) -- data.file_end, data.push

do
    local ATTR = 72 -- bytes of an attr without ACL and tier

    -- What the attr *a* (its bytes: raw) and what follows it say: nil, or the errno of what no such object can be.
    local function malformed(op, a, raw, rest)
        local type = a.type
        if op.path == "" or find(op.path, "/", 1, true) or a.parent ~= op.base or byte(raw, ATTR) ~= 0 then
            return E.INVAL
        elseif a.nlink ~= (type == T.DIR and 2 or 1) then
            return E.INVAL
        elseif type == T.FILE then
            local last, valid = 0, #rest % 28 == 0
            if valid then
                last, valid = data.file_end(rest)
            end
            if not valid then
                return E.INVAL
            end
            return (last > data.LENGTH_MAX or a.length > data.LENGTH_MAX) and E.FBIG or nil
        elseif type == T.SYMLINK then
            if rest == "" then
                return E.NOENT
            elseif #rest > 4095 then
                return E.NAMETOOLONG
            end
            return (find(rest, "%z") or a.length ~= #rest) and E.INVAL or nil
        elseif type < T.FILE or type > T.SOCKET or rest ~= "" or a.length ~= (type == T.DIR and 4096 or 0) then
            return E.INVAL
        end
        return nil
    end

    ops[24] = function(env, op)
        local raw, rest = sub(op.data, 1, ATTR), sub(op.data, ATTR + 1)
        if #raw < ATTR then
            return fail(E.INVAL)
        end
        local a = attr.decode(raw)
        local err = malformed(op, a, raw, rest)
        if err then
            return fail(err)
        end
        local w
        w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.to_last(w)
        if err then
            return walk.fail(w, err)
        end
        local d, dir, ino = w.a, w.dir, op.ino
        err = node.must_be_free(w, true)
        if not err and op.uid ~= 0 and (a.type == T.BLOCKDEV or (a.type == T.CHARDEV and a.rdev ~= 0)) then
            err = node.may_add(op, w) or E.PERM
        end
        err = err or node.refused(env, op, w, acct.usage(attr.data_length(a)))
        if err then
            return fail(err)
        end
        local flags = R.CREATED
        if op.off ~= 0 and call("HLEN", num.key("d", dir)) ~= op.off - 1 then
            flags = flags + R.FOREIGN
        end
        a.flags = bor(a.flags, band(d.flags, A.SKIP_TRASH))
        a.tier = d.tier
        if call("SETNX", num.key("i", ino), attr.encode(a)) == 0 then
            return fail(E.IO)
        end
        if a.type == T.SYMLINK then
            call("SET", num.key("s", ino), rest)
        elseif rest ~= "" then
            data.push(P .. "c" .. num.dec(ino) .. "_", rest)
        end
        node.enter(env, op, w, a)
        return 0, ino, "", dir, flags, ""
    end

    -- Many at once, all in one directory by one caller: {
    --   u8 3, u8 24, u32 uid, u32 gid, u64 base, u64 off, u64 space, u64 length, u32 n, u32 directories,
    --   i64, u32 first now, i64, u32 last now, u16 n groups, groups
    -- }, then of each: u8 + name, u8 + key of the inode, entry, attr, i64, u32 now, u8 whether more follows: u32 + bytes.
    -- Names and inodes differ from each other, and no op is malformed.  space, length: what they use in all.
    --
    -- The answer: rflags that all have beside CREATED, and n; or a list of answers.
    local HEAD, ITEM, SKIP = ">BBI4I4c8I8I8I8I4I4i8I4i8I4H", ">Bc0Bc0c9c72xxxxxxxxxxxxB", ">Bc0Bc0c9c72"

    -- One by one, as ops.
    local function singly(env, g)
        local s, at, answers = g.s, g.at, {}
        for i = 1, g.n do
            local name, _, entry, raw, now, more, rest
            name, _, entry, raw, now, more, at = unpack_at(">Bc0Bc0c9c72c12B", s, at)
            if more == 1 then
                rest, at = unpack_at(">I4c0", s, at)
                raw = raw .. rest
            end
            local now_sec, now_nsec = unpack_at(">i8I4", now)
            answers[i] = opcodec.run_op(env, {
                kind = 24, flags = 0, uid = g.uid, gid = g.gid, gids = g.gids, now = now, now_sec = now_sec,
                now_nsec = now_nsec, base = g.base, ino = sub(entry, 2), off = g.off == 0 and 0 or g.off + i - 1,
                path = name, data = raw,
            })
        end
        return answers
    end

    -- What the keys say before anything is written: true, when all of them can be made together.
    local function may_make(env, g)
        local dir, names, entries, inodes, more = g.base, {}, {}, {}, {}
        local d = attr.load(dir)
        if not d or d.type ~= T.DIR or d.flags ~= 0 or d.tier ~= 0 or num.is_trash(dir) or num.in_trash(d.parent)
            or not perm.check(g, d, 3) or acct.room(env, dir, g.space, g.n) then
            return false
        end
        local s, at, k, m = g.s, g.at, 0, 0
        for i = 1, g.n do
            local name, key, entry, raw, has
            name, key, entry, raw, has, at = unpack_at(ITEM, s, at)
            names[i] = name
            entries[k + 1], entries[k + 2] = name, entry
            inodes[k + 1], inodes[k + 2] = key, raw
            k = k + 2
            if has == 1 then
                local rest
                rest, at = unpack_at(">I4c0", s, at)
                more[m + 1], more[m + 2], more[m + 3] = key, entry, rest
                m = m + 3
            end
        end
        g.d, g.entries, g.inodes, g.more = d, entries, inodes, more
        g.key = num.key("d", dir)
        local there = call("HMGET", g.key, unpack(names))
        for i = 1, g.n do
            if there[i] then
                return false
            end
        end
        return true
    end

    -- An item's time, and whether it touches the directory whatever its time.
    local function item_time(s, at)
        local _, entry, sec, nsec, has
        _, _, entry, _, sec, nsec, has, at = unpack_at(">Bc0Bc0c9c72i8I4B", s, at)
        if has == 1 then
            at = at + 4 + unpack_at(">I4", s, at)
        end
        return at, sec, nsec, byte(entry, 1) == T.DIR
    end

    -- What follows an attr: records or a target; of directories their statistics.
    local function write_more(g)
        local more, from, packs, stem = g.more, #P + 2, data.packs, P .. "c"
        for i = 1, #more, 3 do
            local key, rest = more[i], more[i + 2]
            local number = sub(key, from)
            if byte(more[i + 1], 1) == T.SYMLINK then
                call("SET", P .. "s" .. number, rest)
            elseif #rest == 28 and sub(rest, 1, 4) == "\0\0\0\0" then
                local p = packs and packs[sub(rest, 9, 20)]
                if p then
                    p.n = p.n + 1
                end
                call("RPUSH", stem .. number .. "_0", sub(rest, 5))
            else
                data.push(stem .. number .. "_", rest)
            end
        end
        if g.ndirs == 0 then
            return
        end
        local zeros, entries = {}, g.entries
        for i = 2, #entries, 2 do
            if byte(entries[i], 1) == T.DIR then
                zeros[#zeros + 1] = sub(g.inodes[i - 1], from)
                zeros[#zeros + 1] = "0"
            end
        end
        call("HSET", P .. "dirUsedInodes", unpack(zeros))
        call("HSET", P .. "dirDataLength", unpack(zeros))
        call("HSET", P .. "dirUsedSpace", unpack(zeros))
    end

    -- nil: an inode number was given before, nothing is written.
    local function make_all(env, g)
        local dir, d = g.base, g.d
        local foreign = g.off ~= 0 and call("HLEN", g.key) ~= g.off - 1
        if call("MSETNX", unpack(g.inodes)) == 0 then
            return nil
        end
        write_more(g)
        d.nlink = d.nlink + g.ndirs
        if attr.touch_run(env, g, item_time, g.ndirs > 0) then
            attr.save(dir, d)
        end
        call("HSET", g.key, unpack(g.entries))
        acct.volume(g.space, g.n)
        acct.stats(env, dir, g.length, g.space, g.n)
        acct.quota(env, dir, g.space, g.n)
        return foreign and R.FOREIGN or 0
    end

    groups[24] = function(env, s)
        local g, _, ngroups = { s = s }, nil, nil
        _, _, g.uid, g.gid, g.base, g.off, g.space, g.length, g.n, g.ndirs, g.first_sec, g.first_nsec, g.last_sec,
            g.last_nsec, ngroups, g.at = unpack_at(HEAD, s)
        g.gids = sub(s, g.at, g.at + 4 * ngroups - 1)
        g.at = g.at + 4 * ngroups
        local ok, flags = pcall(may_make, env, g)
        if ok and flags then
            ok, flags = pcall(make_all, env, g)
            if not ok then
                return opcodec.raised(flags, g.n)
            end
        end
        if ok and flags then
            return flags, g.n
        end
        return singly(env, g)
    end
end
