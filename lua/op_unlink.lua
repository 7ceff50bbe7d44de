-- OP_UNLINK: unlink(2).  data: inodes that the caller's host holds open.

-- May the caller take the name of *a* out of w.dir?  nil or an errno; for unlink, rmdir and rename.  a: nil when the
-- entry's inode has no attr.
function perm.may_remove(op, w, a)
    local d = w.a
    if num.is_trash(w.dir) and op.uid ~= 0 then
        return E.PERM
    elseif not perm.check(op, d, 3) then
        return E.ACCES
    elseif band(d.flags, A.FROZEN) ~= 0 then
        return E.PERM
    elseif a and (perm.sticky(op, d, a) or band(a.flags, A.FROZEN) ~= 0) then
        return E.PERM
    end
    return nil
end

ops[13] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.to_last(w)
    if err then
        return walk.fail(w, err)
    elseif w.kind ~= "norm" then
        return fail(E.ISDIR)
    end
    local dir, d = w.dir, w.a
    if dir == num.ROOT and RESERVED[w.name] then
        return fail(E.PERM)
    end
    local type, ino = walk.entry(w, w.name)
    if not type then
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
        acct.stats(env, dir, 0, -4096, -1)
        acct.quota(env, dir, -4096, -1)
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
