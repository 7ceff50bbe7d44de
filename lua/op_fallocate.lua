-- OP_FALLOCATE: fallocate(2) on an open file: what the kernel checks first, then juicefs-format.md 5.8.
do
    local KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64

    -- The kernel's rules for modes.
    local function bad_mode(mode)
        local punch = band(mode, PUNCH_HOLE) ~= 0
        if band(mode, bnot(KEEP_SIZE + PUNCH_HOLE + COLLAPSE + ZERO_RANGE + INSERT + UNSHARE)) ~= 0 then
            return E.NOTSUP
        elseif punch and (band(mode, ZERO_RANGE) ~= 0 or band(mode, KEEP_SIZE) == 0) then
            return E.NOTSUP
        elseif band(mode, COLLAPSE) ~= 0 and mode ~= COLLAPSE or band(mode, INSERT) ~= 0 and mode ~= INSERT
            or band(mode, UNSHARE) ~= 0 and band(mode, bnot(UNSHARE + KEEP_SIZE)) ~= 0 then
            return E.INVAL
        elseif band(mode, COLLAPSE + INSERT + UNSHARE) ~= 0 then
            return E.NOTSUP
        end
        return nil
    end

    ops[19] = function(env, op)
        local ino, mode, off, size = op.base, op.mode, op.off, op.len
        if size == 0 then
            return fail(E.INVAL)
        end
        local err = bad_mode(mode)
        if err then
            return fail(err)
        end
        local a = attr.load(ino)
        if not a then
            return fail(E.NOENT)
        elseif a.flags % 2 == A.IMMUTABLE or (band(a.flags, A.APPEND) ~= 0 and mode ~= KEEP_SIZE) then
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
        err = acct.room_resize(env, ino, a, space)
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
