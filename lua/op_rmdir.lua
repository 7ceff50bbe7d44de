-- OP_RMDIR: rmdir(2).
do
    local PER_DIR = {
        "dirDataLength", "dirUsedSpace", "dirUsedInodes", "dirQuota", "dirQuotaUsedSpace", "dirQuotaUsedInodes",
    }

    ops[14] = function(env, op)
        local w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.to_last(w)
        if err then
            return walk.fail(w, err)
        elseif w.kind ~= "norm" then
            return fail(w.kind == "dot" and E.INVAL or w.kind == "dotdot" and E.NOTEMPTY or E.BUSY)
        end
        local dir, d = w.dir, w.a
        if dir == num.TRASH or (dir == num.ROOT and node.RESERVED[w.name]) then
            return fail(E.PERM)
        end
        local type, ino = walk.entry(w, w.name)
        if not type or (op.ino ~= num.ZERO and op.ino ~= ino) then
            return fail(E.NOENT)
        end
        local a = attr.load(ino)
        err = perm.may_remove(op, w, a)
        if err then
            return fail(err)
        elseif type ~= T.DIR then
            return fail(E.NOTDIR)
        elseif call("HLEN", num.key("d", ino)) > 0 then
            return fail(E.NOTEMPTY)
        end
        local plan
        if a then
            plan, err = trash.plan(env, op, dir, w.name, ino, a)
            if err then
                return fail(err)
            end
        end

        call("HDEL", num.key("d", dir), w.name)
        if not num.is_trash(dir) then
            d.nlink = d.nlink - 1
            attr.touch(env, op, dir, d, true)
            attr.save(dir, d)
        end
        local raw = ""
        if plan then
            trash.put(env, op, plan, dir, ino, a)
            raw = a.raw
        elseif a then
            raw = a.raw
            trash.drop_dir(ino)
        end
        local f = num.dec(ino)
        for i = 1, #PER_DIR do
            call("HDEL", P .. PER_DIR[i], f)
        end
        acct.lost_entry(env, dir)
        return 0, ino, raw, dir, plan and R.TRASHED or a and R.GONE or 0, ""
    end
end
