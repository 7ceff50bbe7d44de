-- OP_LINK: link(2).  Object 1, followed unless NOFOLLOW, gets the name (base2, path2).
--
-- An object without a name (O_TMPFILE) can be given one while it is in session{sid} and the caller holds it open.
-- A removed file that the caller holds open (BY_FD) has no name either, whatever the trash says.
ops[12] = function(env, op)
    local w, err = walk.start(env, op, op.base, op.path)
    err = err or walk.object(w, opcodec.has(op, F.NOFOLLOW))
    if err then
        return walk.fail(w, err)
    end
    local to
    to, err = walk.start(env, op, op.base2, op.path2)
    err = err or walk.to_last(to)
    if err then
        return walk.fail(to, err, 2)
    end
    err = node.must_be_free(to, false)
    if err then
        return fail(err)
    end
    local a, ino, dir, d = w.attr, w.ino, to.dir, to.a
    if not perm.may_link(op, a) then
        return fail(E.PERM)
    elseif dir == num.ROOT and node.RESERVED[to.name] then
        return fail(E.PERM)
    end
    err = node.may_add(op, to)
    if err then
        return fail(err)
    elseif a.type == T.DIR or band(a.flags, A.FROZEN) ~= 0 then
        return fail(E.PERM)
    elseif w.corrupt or (num.in_trash(a.parent) and opcodec.has(op, F.BY_FD)) then
        return fail(E.NOENT)
    end
    local session = P .. "session" .. num.dec(op.sid)
    if a.nlink == 0
        and not (opcodec.has(op, F.BY_FD) and op.sid ~= num.ZERO and call("SISMEMBER", session, num.dec(ino)) == 1) then
        return fail(E.NOENT)
    end
    err = acct.room_dir(env, dir, acct.usage(attr.data_length(a)), 1)
    if err then
        return fail(err)
    end

    call("HSET", num.key("d", dir), to.name, attr.entry(a.type, ino))
    if attr.touch(env, op, dir, d, false) then
        attr.save(dir, d)
    end
    local old = a.parent
    a.ctime = op.now
    a.nlink = a.nlink + 1
    if a.nlink == 1 then
        call("SREM", session, num.dec(ino))
        a.parent = dir
    else
        local p = num.key("p", ino)
        a.parent = num.ZERO
        if old ~= num.ZERO then
            call("HINCRBY", p, num.dec(old), 1)
        end
        call("HINCRBY", p, num.dec(dir), 1)
    end
    attr.save(ino, a)
    acct.entry(env, dir, a, 1)
    return 0, ino, a.raw, dir, 0, ""
end
