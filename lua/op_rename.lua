-- OP_RENAME: renameat2(2) of (base, path) to (base2, path2), flags NOREPLACE and EXCHANGE.  data: inodes that the
-- caller's host holds open.  Result: the inode that lost its name because the new name was taken, if any.
--
-- `s` is the source's parent and `t` the target's, both walks; when they are one directory they share its attr.
do
    -- What the kernel decides before the permissions: nil, an errno, or 0 for "nothing to do".
    local function check_names(op, s, t, src, dst)
        local exchange = opcodec.has(op, F.EXCHANGE)
        if not src.type then
            return E.NOENT
        elseif dst.type and opcodec.has(op, F.NOREPLACE) then
            return E.EXIST
        elseif exchange then
            if not dst.type then
                return E.NOENT
            elseif dst.type ~= T.DIR and t.slash then
                return E.NOTDIR
            end
        end
        if src.type ~= T.DIR and (s.slash or (not exchange and t.slash)) then
            return E.NOTDIR
        elseif (s.dir == num.ROOT and node.RESERVED[s.name]) or (t.dir == num.ROOT and node.RESERVED[t.name]) then
            return E.PERM
        end
        if s.dir ~= t.dir then
            -- neither may be above the other's new place
            if src.type == T.DIR then
                local below = walk.is_below(t.dir, src.ino)
                if below ~= false then
                    return below and E.INVAL or E.LOOP
                end
            end
            if dst.type == T.DIR then
                local below = walk.is_below(s.dir, dst.ino)
                if below ~= false then
                    return below and (exchange and E.INVAL or E.NOTEMPTY) or E.LOOP
                end
            end
        end
        if src.ino == dst.ino then
            return 0
        end
        return nil
    end

    local function check_allowed(op, s, t, src, dst)
        local exchange = opcodec.has(op, F.EXCHANGE)
        local across = s.dir ~= t.dir
        if num.is_trash(t.dir) or s.dir == num.TRASH then
            return E.PERM
        end
        local err = perm.may_remove(op, s, src.a)
        if err then
            return err
        elseif num.in_trash(t.a.parent) then
            return E.NOENT
        elseif dst.type then
            if not perm.check(op, t.a, 3) then
                return E.ACCES
            elseif t.a.flags % 2 == A.IMMUTABLE then
                return E.PERM
            elseif dst.a and (perm.sticky(op, t.a, dst.a) or band(dst.a.flags, A.FROZEN) ~= 0) then
                return E.PERM
            elseif not exchange then
                if src.type == T.DIR and dst.type ~= T.DIR then
                    return E.NOTDIR
                elseif src.type ~= T.DIR and dst.type == T.DIR then
                    return E.ISDIR
                end
            end
        else
            err = node.may_add(op, t)
            if err then
                return err
            end
        end
        -- a directory that gets another parent is written to (its "..")
        if across and src.type == T.DIR and not perm.check(op, src.a, 2) then
            return E.ACCES
        elseif across and exchange and dst.type == T.DIR and not perm.check(op, dst.a, 2) then
            return E.ACCES
        elseif dst.type == T.DIR and not exchange and call("HLEN", num.key("d", dst.ino)) > 0 then
            return E.NOTEMPTY
        end
        return nil
    end

    -- When the nearest quotas of the two parents differ: what the moves take from one side and add to the other, as
    -- { from, to, space, inodes }; false: nothing to count; nil and an errno.  A tree of more entries than
    -- tree.size() counts is EXDEV, upon which mv copies.
    local function plan_quotas(env, s, t, src, dst, exchange)
        if s.dir == t.dir or not acct.has_quotas(env) then
            return false
        end
        local from = not num.is_trash(s.dir) and acct.quota_dirs(env, s.dir) or {}
        local to = acct.quota_dirs(env, t.dir) or {}
        if from[1] == to[1] then
            return false
        end
        -- quotas above both see no change
        while #from > 0 and #to > 0 and from[#from] == to[#to] do
            from[#from], to[#to] = nil, nil
        end
        local space, inodes = tree.size(src.ino, src.a)
        if not space then
            return nil, E.XDEV
        end
        if exchange then
            local space2, inodes2 = tree.size(dst.ino, dst.a)
            if not space2 then
                return nil, E.XDEV
            end
            space, inodes = space - space2, inodes - inodes2
        end
        local err = acct.room_quotas(to, space, inodes) or acct.room_quotas(from, -space, -inodes)
        if err then
            return nil, err
        end
        return { from = from, to = to, space = space, inodes = inodes }
    end

    -- The inode's own record of its parents.
    local function reparent(o, from, to)
        local a = o.a
        if a.type == T.DIR or a.parent ~= num.ZERO then
            a.parent = to
        else
            local p = num.key("p", o.ino)
            call("HINCRBY", p, num.dec(to), 1)
            call("HINCRBY", p, num.dec(from), -1)
        end
    end

    -- Dir stats of one object that dir gains or loses; quotas are counted by plan_quotas().
    local function count(env, dir, a, sign)
        local len = attr.data_length(a)
        acct.stats(env, dir, sign * len, sign * acct.usage(len), sign)
    end

    local function save_dir(env, op, w, links)
        if num.is_trash(w.dir) then
            return
        end
        w.a.nlink = w.a.nlink + links
        if attr.touch(env, op, w.dir, w.a, links ~= 0 or w.forced) then
            attr.save(w.dir, w.a)
        end
    end

    -- Both walks end on the last component; src and dst are the entries there.
    local function start(env, op)
        local s, err = walk.start(env, op, op.base, op.path)
        err = err or walk.to_last(s)
        if err then
            return s, nil, err, 1
        end
        local t
        t, err = walk.start(env, op, op.base2, op.path2)
        err = err or walk.to_last(t)
        if err then
            return t, nil, err, 2
        end
        if t.dir == s.dir then
            t.a = s.a
        end
        return s, t
    end

    ops[15] = function(env, op)
        local exchange = opcodec.has(op, F.EXCHANGE)
        if exchange and opcodec.has(op, F.NOREPLACE) then
            return fail(E.INVAL)
        end
        local s, t, err, which = start(env, op)
        if err then
            return walk.fail(s, err, which)
        elseif s.kind ~= "norm" then
            return fail(E.BUSY)
        elseif t.kind ~= "norm" then
            return fail(opcodec.has(op, F.NOREPLACE) and E.EXIST or E.BUSY)
        end
        local src, dst = {}, {}
        src.type, src.ino = walk.entry(s, s.name)
        dst.type, dst.ino = walk.entry(t, t.name)
        if src.type and op.ino ~= num.ZERO and op.ino ~= src.ino then
            return fail(E.NOENT)
        end
        err = check_names(op, s, t, src, dst)
        if err == 0 then
            return 0, "", "", t.dir, 0, ""
        elseif err then
            return fail(err)
        end
        src.a = attr.load(src.ino)
        dst.a = dst.ino and attr.load(dst.ino)
        if not src.a or (exchange and not dst.a) then
            return fail(E.NOENT)
        end
        err = check_allowed(op, s, t, src, dst)
        if err then
            return fail(err)
        end
        local quotas, plan
        quotas, err = plan_quotas(env, s, t, src, dst, exchange)
        if not err and dst.a and not exchange then
            plan, err = trash.plan(env, op, t.dir, t.name, dst.ino, dst.a)
        end
        if err then
            return fail(err)
        end

        local across = s.dir ~= t.dir
        local s_links, t_links = 0, 0
        local rflags, extra = 0, ""
        if across and src.type == T.DIR then
            s_links, t_links = -1, 1
            s.forced, t.forced = true, true
        end
        if exchange then
            if across and dst.type == T.DIR then
                s_links, t_links = s_links + 1, t_links - 1
                s.forced, t.forced = true, true
            end
            dst.a.ctime = op.now
            if across then
                reparent(dst, t.dir, s.dir)
            end
            attr.save(dst.ino, dst.a)
            call("HSET", num.key("d", s.dir), s.name, attr.entry(dst.type, dst.ino))
        else
            call("HDEL", num.key("d", s.dir), s.name)
            if dst.type and not dst.a then
                acct.lost_entry(env, t.dir)
            elseif dst.a then
                acct.entry(env, t.dir, dst.a, -1)
                if dst.type == T.DIR then
                    t_links = t_links - 1
                    t.forced = true
                    local f = num.dec(dst.ino)
                    call("HDEL", P .. "dirQuota", f)
                    call("HDEL", P .. "dirQuotaUsedSpace", f)
                    call("HDEL", P .. "dirQuotaUsedInodes", f)
                end
                if plan then
                    trash.put(env, op, plan, t.dir, dst.ino, dst.a)
                    rflags = R.TRASHED
                elseif dst.type == T.DIR then
                    trash.drop_dir(dst.ino)
                    rflags = R.GONE
                else
                    rflags, extra = trash.drop(env, op, t.dir, dst.ino, dst.a)
                end
            end
        end
        if across then
            save_dir(env, op, s, s_links)
            reparent(src, s.dir, t.dir)
        end
        src.a.ctime = op.now
        attr.save(src.ino, src.a)
        call("HSET", num.key("d", t.dir), t.name, attr.entry(src.type, src.ino))
        save_dir(env, op, t, t_links)
        if across then
            count(env, s.dir, src.a, -1)
            count(env, t.dir, src.a, 1)
            if exchange then
                count(env, t.dir, dst.a, -1)
                count(env, s.dir, dst.a, 1)
            end
        end
        if quotas then
            acct.use_quotas(quotas.from, -quotas.space, -quotas.inodes)
            acct.use_quotas(quotas.to, quotas.space, quotas.inodes)
        end
        if exchange or not dst.a then
            return 0, "", "", t.dir, 0, ""
        end
        return 0, dst.ino, dst.a.raw, t.dir, rflags, extra
    end
end
