-- OP_MKDIR: mkdir(2).  Of the bits only 01777 count, as the kernel has it.
ops[10] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.to_last(w)
    if err then
        return walk.fail(w, err)
    end
    local a
    err = node.must_be_free(w, true)
    if not err then
        err, a = node.create(env, op, w, T.DIR, band(op.mode, 1023))
    end
    if err then
        return fail(err)
    end
    return 0, op.ino, a.raw, w.dir, R.CREATED, ""
end
