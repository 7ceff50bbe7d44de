-- OP_MKNOD: mknod(2).  mode is type << 12 | bits, with the volume's types.
ops[9] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.to_last(w)
    if err then
        return walk.fail(w, err)
    end
    local bits = op.mode % 4096
    local type = (op.mode - bits) / 4096
    if type == T.DIR then
        return fail(E.PERM)
    elseif type < T.FILE or type > T.SOCKET or type == T.SYMLINK then
        return fail(E.INVAL)
    end
    err = node.must_be_free(w, false)
    if err then
        return fail(err)
    end
    if op.uid ~= 0 and (type == T.BLOCKDEV or (type == T.CHARDEV and op.rdev ~= 0)) then
        return fail(node.may_add(op, w) or E.PERM)
    end
    local a
    err, a = node.create(env, op, w, type, bits)
    if err then
        return fail(err)
    end
    return 0, op.ino, a.raw, w.dir, R.CREATED, ""
end
