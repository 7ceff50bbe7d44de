-- opcodec - decoding of env and op; core/op/op.h states the bytes.

-- env of all ops of a call:
--   trash, dir_stats   booleans
--   capacity, inodes   limits, 0: none
--   skip_ms            touch(dir) is skipped when the last one is younger
--   mount              the prefix, "/jfs"
function opcodec.env(s)
    local flags, capacity, inodes, skip, n = unpack_at(">I4I8I8I4H", s)
    return {
        trash = flags % 2 == 1,
        dir_stats = flags % 4 >= 2,
        capacity = capacity,
        inodes = inodes,
        skip_ms = skip,
        mount = sub(s, 27, 26 + n),
    }
end

-- An op, or nil when it is malformed.  Numbers: kind umask flags valid uid gid now_sec now_nsec mode rdev new_uid
-- new_gid off len.  Byte strings: now atime mtime (12: i64 seconds, u32 ns, as in Attr), base base2 ino sid (8),
-- gids (4 each), path path2 data.  off and len above 2^53 lose low bits.
function opcodec.decode(s)
    if #s < 130 or byte(s, 1) ~= 1 then
        return nil
    end
    local _, kind, umask, flags, valid, uid, gid, now, base, base2, ino, mode, rdev, new_uid, new_gid, atime, mtime,
        off, len, sid, n =
        unpack_at(">BBHI4I4I4I4c12c8c8c8I4I4I4I4c12c12I8I8c8H", s)
    local at = 123 + 4 * n
    if #s < at + 7 then
        return nil
    end
    local gids = n > 0 and sub(s, 123, at - 1) or ""
    n = byte(s, at) * 256 + byte(s, at + 1)
    local path = sub(s, at + 2, at + 1 + n)
    at = at + 2 + n
    if #s < at + 5 then
        return nil
    end
    n = byte(s, at) * 256 + byte(s, at + 1)
    local path2 = sub(s, at + 2, at + 1 + n)
    at = at + 2 + n
    if #s < at + 3 then
        return nil
    end
    n = unpack_at(">I4", s, at)
    if #s ~= at + 3 + n then
        return nil
    end
    local now_sec, now_nsec = unpack_at(">i8I4", now)
    return {
        kind = kind, umask = umask, flags = flags, valid = valid, uid = uid, gid = gid, gids = gids,
        now = now, now_sec = now_sec, now_nsec = now_nsec, base = base, base2 = base2, ino = ino,
        mode = mode, rdev = rdev, new_uid = new_uid, new_gid = new_gid, atime = atime, mtime = mtime,
        off = off, len = len, sid = sid, path = path, path2 = path2, data = sub(s, at + 4),
    }
end

-- Is a bit of F set in op.flags?
function opcodec.has(op, flag)
    return op.flags % (2 * flag) >= flag
end

-- Is the inode one of op.data's list of inodes that the caller's host holds open (unlink, rename)?
function opcodec.held(op, ino)
    local data = op.data
    for i = 1, #data - 7, 8 do
        if sub(data, i, i + 7) == ino then
            return true
        end
    end
    return false
end
