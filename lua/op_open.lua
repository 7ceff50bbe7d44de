-- OP_OPEN: open(2) up to the descriptor, in the order of the kernel's do_open() and may_open().
-- valid: 4 | 2 as it is opened.  extra: records of chunk 0 of a regular file, or the target of a symlink (O_PATH).
do
    -- The object is there: may it be opened?  nil or an errno.  Write access for O_TRUNC is asked for too.
    local function may_open(op, w)
        local has, a = opcodec.has, w.attr
        if has(op, F.CREATE) then
            if has(op, F.EXCL) then
                return E.EXIST
            elseif a.type == T.DIR then
                return E.ISDIR
            end
        end
        if has(op, F.DIRECTORY) and a.type ~= T.DIR then
            return E.NOTDIR
        elseif has(op, F.OPATH) then
            return nil
        elseif a.type == T.SYMLINK then
            return E.LOOP
        end
        local mask = band(op.valid, 7)
        local trunc = has(op, F.TRUNC)
        if trunc then
            mask = bor(mask, 2)
        end
        local writes = band(mask, 2) ~= 0
        if writes and a.type == T.DIR then
            return E.ISDIR
        elseif not perm.check(op, a, mask) then
            return E.ACCES
        elseif writes and (a.type == T.FILE or a.type == T.DIR) then
            if a.flags % 2 == A.IMMUTABLE or num.in_trash(a.parent) then
                return E.PERM
            elseif band(a.flags, A.APPEND) ~= 0 and (trunc or not has(op, F.APPEND)) then
                return E.PERM
            end
        end
        return nil
    end

    ops[2] = function(env, op)
        local has = opcodec.has
        local create = has(op, F.CREATE) and not has(op, F.OPATH)
        local w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.object(w, has(op, F.NOFOLLOW) or (create and has(op, F.EXCL)), create)
        if create and err == E.NOENT and w.kind == "norm" then
            if has(op, F.DIRECTORY) then
                return fail(E.INVAL)
            elseif w.dir == num.ROOT and node.RESERVED[w.name] then
                return fail(has(op, F.EXCL) and E.EXIST or E.PERM)
            end
            local a
            err, a = node.create(env, op, w, T.FILE, op.mode % 4096)
            if err then
                return fail(err)
            end
            return 0, op.ino, a.raw, w.dir, R.CREATED + (w.linked and R.LINKED or 0), ""
        elseif err then
            return walk.fail(w, err)
        end
        err = may_open(op, w)
        if err then
            return fail(err)
        end
        local a, ino = w.attr, w.ino
        if a.type == T.FILE and not has(op, F.OPATH) then
            if w.corrupt then
                return fail(E.IO)
            end
            if has(op, F.TRUNC) then
                err = truncate.to(env, op, ino, a, 0)
                if err then
                    return fail(err)
                end
            end
            local records = a.length > 0 and call("LRANGE", P .. "c" .. num.dec(ino) .. "_0", 0, -1)
            return 0, ino, a.raw, w.parent, 0, records and concat(records) or ""
        end
        local target = a.type == T.SYMLINK and call("GET", num.key("s", ino))
        return 0, ino, a.raw, w.parent, 0, target or ""
    end
end
