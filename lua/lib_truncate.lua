-- truncate.to - a new length for a file, shorter or longer (juicefs-format.md 5.7); for truncate(2) and O_TRUNC.

-- The bytes between both lengths become zeros, whichever is the longer one: what a cut leaves in the lists can never
-- come back.  a: attr of ino, a regular file.  nil: done, *a* is saved.  Else an errno, and nothing is written.
-- The same length changes no more than the stamps, and those as the kernel does: by O_TRUNC and ftruncate(), not by
-- truncate(); and what KILLPRIV takes.
function truncate.to(env, op, ino, a, newlen)
    local old = a.length
    if a.flags % 4 ~= 0 then -- immutable, append-only
        return E.PERM
    elseif newlen > data.LENGTH_MAX or a.big then
        return E.FBIG
    end
    local space = acct.usage(newlen) - acct.usage(old)
    local err = acct.room_resize(env, ino, a, space)
    if err then
        return err
    end
    local killed = data.kill_priv(op, a)
    if newlen == old then
        local stamps = opcodec.has(op, F.TRUNC) or opcodec.has(op, F.BY_FD)
        if stamps then
            data.stamp(a, op.now)
        end
        if stamps or killed then
            attr.changed(op, a)
            attr.save(ino, a)
        end
        return nil
    end
    a.length = newlen
    data.stamp(a, op.now)
    attr.changed(op, a)
    attr.save(ino, a)
    data.zero(ino, newlen < old and newlen or old, newlen < old and old or newlen, "RPUSHX")
    acct.resize(env, ino, a, newlen - old, space)
    return nil
end
