-- attr - the value of i{ino} as a table and back (juicefs-format.md 3.2), and the only place that reads and
-- writes it.
--
-- Fields: flags type mode(07777) uid gid nlink length rdev tier are numbers; atime mtime ctime 12 bytes (as op.now);
-- parent 8 bytes (num.ZERO: see p{ino}); acl 8 bytes (access id, default id) or nil.  raw: the bytes as they are in
-- the database; stale after a field was set, until attr.save().
--
-- All lengths that ever were in use are read (63, 71, 72, 73, 79, 80, 81); what is written is what stock writes:
-- [acl][tier] and one zero byte.  A change keeps flags, ACL ids and tier.

local LAYOUT = ">BHI4I4c12c12c12I4I8I4"
local BIG = 9007199254740992

function attr.decode(raw)
    local size = #raw
    if size < 63 then
        error("malformed attr")
    end
    local flags, tm, uid, gid, atime, mtime, ctime, nlink, length, rdev = unpack_at(LAYOUT, raw)
    local mode = tm % 4096
    local a = {
        raw = raw, flags = flags, type = (tm - mode) / 4096, mode = mode, uid = uid, gid = gid,
        atime = atime, mtime = mtime, ctime = ctime, nlink = nlink, length = length, rdev = rdev,
        parent = size >= 71 and sub(raw, 64, 71) or num.ZERO, acl = nil, tier = 0,
    }
    if size >= 79 then
        local ids = sub(raw, 72, 79)
        if ids ~= num.ZERO then
            a.acl = ids
        end
        a.tier = byte(raw, 80) or 0
    elseif size >= 72 then
        a.tier = byte(raw, 72)
    end
    if length >= BIG then -- a double lost low bits: unchanged lengths are written back from these
        a.big, a.big_of = sub(raw, 52, 59), length
    end
    return a
end

function attr.encode(a)
    local length = a.length
    local head
    if a.big and length == a.big_of then
        head = pack(">BHI4I4c12c12c12I4c8I4", a.flags, a.type * 4096 + a.mode, a.uid, a.gid, a.atime, a.mtime,
            a.ctime, a.nlink, a.big, a.rdev)
    else
        head = pack(LAYOUT, a.flags, a.type * 4096 + a.mode, a.uid, a.gid, a.atime, a.mtime, a.ctime, a.nlink,
            length, a.rdev)
    end
    if a.tier == 0 then
        return head .. a.parent .. (a.acl or "") .. "\0"
    end
    return head .. a.parent .. (a.acl or "") .. char(a.tier) .. "\0"
end

-- The attr of an inode; nil when there is none.
function attr.load(ino)
    local raw = call("GET", P .. "i" .. num.dec(ino))
    return raw and attr.decode(raw) or nil
end

-- Writes it; a.raw is what was written.
function attr.save(ino, a)
    local raw = attr.encode(a)
    a.raw = raw
    call("SET", P .. "i" .. num.dec(ino), raw)
    return raw
end

-- A new inode's attr, not written.  uid, gid, mode, flags and tier are the caller's choice.
function attr.new(op, type, mode, uid, gid, parent)
    return {
        flags = 0, type = type, mode = mode, uid = uid, gid = gid, atime = op.now, mtime = op.now, ctime = op.now,
        nlink = type == T.DIR and 2 or 1, length = type == T.DIR and 4096 or 0, rdev = 0, parent = parent,
        acl = nil, tier = 0,
    }
end

-- L of the format's accounting: bytes of a regular file, else 0.
function attr.data_length(a)
    return a.type == T.FILE and a.length or 0
end

-- ctime = NOW
function attr.changed(op, a)
    a.ctime = op.now
end

-- touch(dir): mtime and ctime of a directory become NOW, unless that happened within env.skip_ms and `force` is not
-- set.  True: *a* was changed, the caller saves it.  Directories of the trash are never touched.
function attr.touch(env, op, dir, a, force)
    if num.is_trash(dir) then
        return false
    end
    if not force then
        local sec, nsec = unpack_at(">i8I4", a.mtime)
        if (op.now_sec - sec) * 1000 + (op.now_nsec - nsec) / 1000000 < env.skip_ms then
            return false
        end
    end
    a.mtime = op.now
    a.ctime = op.now
    return true
end

-- A directory entry's 9 bytes, and back: type, ino.
function attr.entry(type, ino)
    return char(type) .. ino
end

function attr.of_entry(value)
    if #value ~= 9 then
        error("malformed entry")
    end
    return byte(value, 1), sub(value, 2)
end
