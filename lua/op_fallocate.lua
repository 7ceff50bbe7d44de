-- OP_FALLOCATE: fallocate(2) on an open file: what the kernel checks first, then juicefs-format.md 5.8.
do
    local KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
    -- Moving ranges and unsharing are not served, and every other mix of bits is refused alike.
    local SERVED = {
        [0] = true, [KEEP_SIZE] = true, [PUNCH_HOLE + KEEP_SIZE] = true, [ZERO_RANGE] = true,
        [ZERO_RANGE + KEEP_SIZE] = true,
    }

    ops[19] = function(env, op)
        local ino, mode, off, size = op.base, op.mode, op.off, op.len
        if size == 0 then
            return fail(E.INVAL)
        elseif not SERVED[mode] then
            return fail(E.NOTSUP)
        end
        local a = attr.load(ino)
        if not a then
            return fail(E.NOENT)
        elseif a.flags % 2 == A.IMMUTABLE or (band(a.flags, A.APPEND) ~= 0 and mode > KEEP_SIZE) then
            return fail(E.PERM)
        elseif a.type == T.FIFO then
            return fail(E.SPIPE)
        elseif a.type == T.DIR then
            return fail(E.ISDIR)
        elseif a.type ~= T.FILE then
            return fail(E.NODEV)
        elseif off + size > data.LENGTH_MAX or a.big then
            return fail(E.FBIG)
        end
        local old, last = a.length, off + size
        local length = old
        if last > old and band(mode, KEEP_SIZE) == 0 then
            length = last
        end
        local space = acct.usage(length) - acct.usage(old)
        local err = acct.room_resize(env, ino, a, space)
        if err then
            return fail(err)
        end
        data.kill_priv(op, a)
        a.length = length
        data.stamp(a, op.now)
        attr.changed(op, a)
        attr.save(ino, a)
        if band(mode, PUNCH_HOLE + ZERO_RANGE) ~= 0 and off < old then
            data.zero(ino, off, last < old and last or old, "RPUSH")
        end
        if length ~= old then
            acct.resize(env, ino, a, length - old, space)
        end
        return 0, ino, a.raw, a.parent, 0, ""
    end
end
