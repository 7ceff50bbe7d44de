-- OP_GETXATTR, OP_LISTXATTR, OP_SETXATTR, OP_REMOVEXATTR: the kernel's rules, then x{ino} (juicefs-format.md 5.18).
--
-- Served are user.* and trusted.*.  security.* and the ACL names are absent and cannot be set; whatever else stock keeps
-- in x{ino} (lastBackup of the root) is not shown.  The inode is not written, as stock has it.
do
    local NAME_MAX, VALUE_MAX, CREATE, REPLACE = 255, 65536, 1, 2

    -- Does the name begin with it?  "user." alone names nothing.
    local function is_in(name, space)
        return sub(name, 1, #space) == space
    end

    -- May the caller read (mask 4) or write (2) this attribute of *a*?  nil or an errno.
    local function permitted(op, a, name, mask)
        local writes = mask == 2
        if name == "" or #name > NAME_MAX then
            return E.RANGE
        elseif writes and a.flags % 4 ~= 0 then -- immutable, append-only
            return E.PERM
        elseif is_in(name, "security.") or name == "system.posix_acl_access" or name == "system.posix_acl_default" then
            return writes and E.NOTSUP or E.NODATA
        elseif is_in(name, "trusted.") then
            if op.uid ~= 0 then
                return writes and E.PERM or E.NODATA
            end
            return #name == 8 and E.INVAL or nil
        elseif not is_in(name, "user.") then
            return not is_in(name, "system.") and not perm.check(op, a, mask) and E.ACCES or E.NOTSUP
        elseif a.type ~= T.FILE and a.type ~= T.DIR then
            return writes and E.PERM or E.NODATA
        elseif writes and a.type == T.DIR and band(a.mode, 512) ~= 0 and op.uid ~= 0 and op.uid ~= a.uid then
            return E.PERM
        elseif not perm.check(op, a, mask) then
            return E.ACCES
        end
        return #name == 5 and E.INVAL or nil
    end

    local function object(env, op)
        local w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.object(w, opcodec.has(op, F.NOFOLLOW))
        if not err and w.corrupt then
            err = E.NOENT
        end
        return w, err
    end

    ops[5] = function(env, op)
        local w, err = object(env, op)
        if err then
            return walk.fail(w, err)
        end
        err = permitted(op, w.attr, op.path2, 4)
        if err then
            return fail(err)
        end
        local value = call("HGET", num.key("x", w.ino), op.path2)
        if not value then
            return fail(E.NODATA)
        end
        return 0, w.ino, w.attr.raw, w.parent, 0, value
    end

    ops[6] = function(env, op)
        local w, err = object(env, op)
        if err then
            return walk.fail(w, err)
        end
        local names = {}
        for _, name in ipairs(call("HKEYS", num.key("x", w.ino))) do
            if is_in(name, "user.") or (op.uid == 0 and is_in(name, "trusted.")) then
                names[#names + 1] = name .. "\0"
            end
        end
        return 0, w.ino, w.attr.raw, w.parent, 0, concat(names)
    end

    ops[20] = function(env, op)
        local name, value, how = op.path2, op.data, op.mode
        if how > CREATE + REPLACE then
            return fail(E.INVAL)
        elseif name == "" or #name > NAME_MAX then
            return fail(E.RANGE)
        elseif #value > VALUE_MAX then
            return fail(E.TOOBIG)
        end
        local w, err = object(env, op)
        if err then
            return walk.fail(w, err)
        end
        err = permitted(op, w.attr, name, 2)
        if err then
            return fail(err)
        end
        local key = num.key("x", w.ino)
        if how ~= 0 then
            local is_there = call("HEXISTS", key, name) == 1
            if is_there and how % 2 == CREATE then
                return fail(E.EXIST)
            elseif not is_there and how >= REPLACE then
                return fail(E.NODATA)
            end
        end
        call("HSET", key, name, value)
        return 0, w.ino, w.attr.raw, w.parent, 0, ""
    end

    ops[21] = function(env, op)
        local w, err = object(env, op)
        if err then
            return walk.fail(w, err)
        end
        err = permitted(op, w.attr, op.path2, 2)
        if err then
            return fail(err)
        elseif call("HDEL", num.key("x", w.ino), op.path2) == 0 then
            return fail(E.NODATA)
        end
        return 0, w.ino, w.attr.raw, w.parent, 0, ""
    end
end
