-- OP_SYMLINK: symlink(2); data is the target.
ops[11] = function(env, op)
    local target = op.data
    if target == "" then
        return fail(E.NOENT)
    elseif #target > 4095 then
        return fail(E.NAMETOOLONG)
    elseif find(target, "%z") then
        return fail(E.INVAL)
    end
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.to_last(w)
    if err then
        return walk.fail(w, err)
    end
    local a
    err = node.must_be_free(w, false)
    if not err then
        err, a = node.create(env, op, w, T.SYMLINK, 511, target)
    end
    if err then
        return fail(err)
    end
    return 0, op.ino, a.raw, w.dir, R.CREATED, target
end
