-- OP_TRUNCATE: truncate(2), with BY_FD ftruncate(2).
ops[17] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.object(w, opcodec.has(op, F.NOFOLLOW))
    if err then
        return walk.fail(w, err)
    end
    local a, by_fd = w.attr, opcodec.has(op, F.BY_FD)
    if w.corrupt then
        return fail(E.NOENT)
    elseif a.type ~= T.FILE then
        return fail(a.type == T.DIR and not by_fd and E.ISDIR or E.INVAL)
    elseif not by_fd then
        if a.flags % 2 == A.IMMUTABLE or num.in_trash(a.parent) then
            return fail(E.PERM)
        elseif not perm.check(op, a, 2) then
            return fail(E.ACCES)
        end
    end
    err = truncate.to(env, op, w.ino, a, op.len)
    if err then
        return fail(err)
    end
    return 0, w.ino, a.raw, w.parent, 0, ""
end
