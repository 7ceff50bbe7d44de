-- OP_SETATTR: chmod(2), chown(2), utimensat(2), chattr(1): the kernel's checks, then juicefs-format.md 5.5.
--
-- As stock has it: what changes nothing writes nothing (chattr, and chown of what is setuid or setgid, always change), a
-- time before 1970 means now, and what is in the trash is not changed; but through an open descriptor (BY_FD) it is.
do
    local MODE, UID, GID, ATIME, MTIME, ATIME_NOW, MTIME_NOW, FLAGS = 1, 2, 4, 8, 16, 32, 64, 128
    local SUID, SGID, GROUP_EXEC = 2048, 1024, 8

    -- The kernel's setattr_prepare().  nil or an errno.
    local function refused(op, a, set)
        local valid = op.valid
        local owner = op.uid == 0 or op.uid == a.uid
        local now = set(ATIME_NOW) and set(MTIME_NOW)
        local explicit = not now and band(valid, ATIME + MTIME + ATIME_NOW + MTIME_NOW) ~= 0
        if (explicit or band(valid, MODE + UID + GID) ~= 0) and band(a.flags, A.FROZEN) ~= 0 then
            return E.PERM
        elseif now and a.flags % 2 == A.IMMUTABLE then
            return E.PERM
        elseif now and not owner and not perm.check(op, a, 2) then
            return E.ACCES
        elseif (explicit or set(MODE) or set(FLAGS)) and not owner then
            return E.PERM
        elseif op.uid ~= 0 then
            local special = band(a.mode, SUID + SGID)
            if op.valid == 0 and not owner and a.type ~= T.DIR and special ~= 0
                and (special ~= SGID or band(a.mode, GROUP_EXEC) ~= 0 or not perm.in_group(op, a.gid)) then
                return E.PERM -- there is something to drop
            elseif set(UID) and not (owner and op.new_uid == a.uid) then
                return E.PERM
            elseif set(GID) and not (owner and (op.new_gid == a.gid or perm.in_group(op, op.new_gid))) then
                return E.PERM
            elseif set(FLAGS) and band(bit.bxor(op.mode, a.flags), A.FROZEN) ~= 0 then
                return E.PERM
            end
        end
        if set(MODE) and a.type == T.SYMLINK then
            return E.NOTSUP
        end
        return nil
    end

    -- Owner and mode; true: something changed.
    local function own(op, a, set)
        local chown = set(UID) or set(GID) or op.valid == 0
        local mode = a.mode
        local special = band(mode, SUID + SGID)
        local changed = chown and special ~= 0
        local keep = 4095
        if changed and a.type ~= T.DIR then
            keep = (op.uid ~= 0 or band(mode, GROUP_EXEC) ~= 0) and 1023 or 2047
        end
        a.mode = band(mode, keep)
        if set(GID) and op.new_gid ~= a.gid then
            a.gid, changed = op.new_gid, true
        end
        if set(UID) and op.new_uid ~= a.uid then
            a.uid, changed = op.new_uid, true
        end
        if set(MODE) then
            mode = op.mode % 4096
            if chown then
                mode = band(bor(mode, special), keep)
            end
            if op.uid ~= 0 and band(mode, SGID) ~= 0 and not perm.in_group(op, a.gid) then
                mode = mode - SGID
            end
            if acl.chmod(a, mode) then
                changed = true
            elseif mode ~= a.mode then
                a.mode, changed = mode, true
            end
        end
        return changed
    end

    -- One of the two times: its new value or nil.
    local function new_time(op, explicit, now, value, old)
        if now or (explicit and byte(value, 1) >= 128) then
            return op.now
        end
        return explicit and value ~= old and value or nil
    end

    -- Makes the change to *a*, the attr of ino.  An errno, or nil and whether anything changed.
    local function change(op, ino, a)
        local valid = op.valid
        if num.is_trash(ino) or (num.in_trash(a.parent) and not opcodec.has(op, F.BY_FD)) then
            return E.PERM
        end
        local function set(bits)
            return band(valid, bits) ~= 0
        end
        if valid > 255 or (set(FLAGS) and set(MODE)) then
            return E.INVAL
        end
        local err = refused(op, a, set)
        if err then
            return err
        end
        local changed = own(op, a, set)
        local atime = new_time(op, set(ATIME), set(ATIME_NOW), op.atime, a.atime)
        local mtime = new_time(op, set(MTIME), set(MTIME_NOW), op.mtime, a.mtime)
        if atime or mtime then
            a.atime, a.mtime, changed = atime or a.atime, mtime or a.mtime, true
        end
        if set(FLAGS) then
            a.flags, changed = op.mode % 256, true
        end
        if changed then
            attr.changed(op, a)
        end
        return nil, changed
    end

    ops[16] = function(env, op)
        local w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.object(w, opcodec.has(op, F.NOFOLLOW))
        if err then
            return walk.fail(w, err)
        elseif w.corrupt then
            return fail(E.NOENT)
        end
        local a, ino, changed = w.attr, w.ino, nil
        err, changed = change(op, ino, a)
        if err then
            return fail(err)
        elseif changed then
            attr.save(ino, a)
        end
        return 0, ino, a.raw, w.parent, 0, ""
    end

    -- Many inodes, or one many times, by one caller: { u8 3, u8 16, u32 uid, u32 gid, u32 n, u16 n groups, groups }, then
    -- of each what ITEM says: base, now, flags, valid, mode, new_uid, new_gid, atime, mtime.  Each inode is read once and
    -- written once.  The answer: a list.
    local ITEM = ">c8c12I4I4I4I4I4c12c12"

    local function apply(op, loaded)
        local ino = op.base
        local a = loaded[ino]
        if not a then
            a = attr.load(ino)
            if not a then
                return -E.NOENT
            end
            loaded[ino] = a
        end
        local err, changed = change(op, ino, a)
        if err then
            return -err
        elseif changed then
            a.raw, a.is_changed = attr.encode(a), true
        end
        return 0, a
    end

    local function write(loaded)
        local args, n = {}, 0
        for ino, a in pairs(loaded) do
            if a.is_changed then
                args[n + 1], args[n + 2] = num.key("i", ino), a.raw
                n = n + 2
            end
        end
        if n > 0 then
            call("MSET", unpack(args))
        end
    end

    groups[16] = function(env, s)
        local answers, loaded, op = {}, {}, {}
        local _, n, ngroups, at
        _, _, op.uid, op.gid, n, ngroups, at = unpack_at(">BBI4I4I4H", s)
        op.gids = sub(s, at, at + 4 * ngroups - 1)
        at = at + 4 * ngroups
        for i = 1, n do
            op.base, op.now, op.flags, op.valid, op.mode, op.new_uid, op.new_gid, op.atime, op.mtime, at =
                unpack_at(ITEM, s, at)
            local ok, code, a = pcall(apply, op, loaded)
            if not ok then
                answers[i] = opcodec.raised(code, 1)[1]
            elseif a then
                answers[i] = { 0, op.base, a.raw, a.parent, 0, "" }
            else
                answers[i] = { code, "", "", "", 0, "" }
            end
        end
        local ok, err = pcall(write, loaded)
        return ok and answers or opcodec.raised(err, n)
    end
end
