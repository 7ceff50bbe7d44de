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
        return fail(dir == num.ROOT and RESERVED[w.name] and E.PERM or E.NOENT)
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
