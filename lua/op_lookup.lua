-- OP_LOOKUP: a path's object, and access(2) on it: valid is the mask to check.  extra: a symlink's target.
ops[1] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.object(w, opcodec.has(op, F.NOFOLLOW))
    if err then
        return walk.fail(w, err)
    end
    local a, mask = w.attr, op.valid
    if a.type ~= T.DIR and opcodec.has(op, F.DIRECTORY) then
        return fail(E.NOTDIR)
    elseif mask ~= 0 then
        if not perm.check(op, a, mask) then
            return fail(E.ACCES)
        elseif band(mask, 2) ~= 0 and (a.flags % 2 == A.IMMUTABLE or num.in_trash(a.parent)) then
            return fail(E.PERM)
        end
    end
    local target = a.type == T.SYMLINK and call("GET", num.key("s", w.ino))
    return 0, w.ino, a.raw, w.parent, 0, target or ""
end
