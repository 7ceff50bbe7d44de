-- OP_MAKE: a new name with all that happened to it before it was sent.  data: its attr, then records or a target.
load_of[18]() -- data.file_end, data.push

do
    local ATTR = 72 -- bytes of an attr without ACL and tier

    -- What the attr *a* (its bytes: raw) and what follows it say: nil, or the errno of what no such object can be.
    local function malformed(op, a, raw, rest)
        local type = a.type
        if op.path == "" or find(op.path, "/", 1, true) or a.parent ~= op.base or byte(raw, ATTR) ~= 0 then
            return E.INVAL
        elseif a.nlink ~= (type == T.DIR and 2 or 1) then
            return E.INVAL
        elseif type == T.FILE then
            local last, valid = 0, #rest % 28 == 0
            if valid then
                last, valid = data.file_end(rest)
            end
            if not valid then
                return E.INVAL
            end
            return (last > data.LENGTH_MAX or a.length > data.LENGTH_MAX) and E.FBIG or nil
        elseif type == T.SYMLINK then
            if rest == "" then
                return E.NOENT
            elseif #rest > 4095 then
                return E.NAMETOOLONG
            end
            return (find(rest, "%z") or a.length ~= #rest) and E.INVAL or nil
        elseif type < T.FILE or type > T.SOCKET or rest ~= "" or a.length ~= (type == T.DIR and 4096 or 0) then
            return E.INVAL
        end
        return nil
    end

    ops[24] = function(env, op)
        local raw, rest = sub(op.data, 1, ATTR), sub(op.data, ATTR + 1)
        if #raw < ATTR then
            return fail(E.INVAL)
        end
        local a = attr.decode(raw)
        local err = malformed(op, a, raw, rest)
        if err then
            return fail(err)
        end
        local w
        w, err = walk.start(env, op, op.base, op.path)
        err = err or walk.to_last(w)
        if err then
            return walk.fail(w, err)
        end
        local d, dir, ino = w.a, w.dir, op.ino
        err = node_must_be_free(w, true)
        if not err and op.uid ~= 0 and (a.type == T.BLOCKDEV or (a.type == T.CHARDEV and a.rdev ~= 0)) then
            err = node_may_add(op, w) or E.PERM
        end
        err = err or node_refused(env, op, w, acct.usage(attr.data_length(a)))
        if err then
            return fail(err)
        end
        local flags = R.CREATED
        if op.off ~= 0 and call("HLEN", num.key("d", dir)) ~= op.off - 1 then
            flags = flags + R.FOREIGN
        end
        a.flags = bor(a.flags, band(d.flags, A.SKIP_TRASH))
        a.tier = d.tier
        if call("SETNX", num.key("i", ino), attr.encode(a)) == 0 then
            return fail(E.IO)
        end
        if a.type == T.SYMLINK then
            call("SET", num.key("s", ino), rest)
        elseif rest ~= "" then
            data.push(P .. "c" .. num.dec(ino) .. "_", rest)
        end
        node_enter(env, op, w, a)
        return 0, ino, "", dir, flags, ""
    end
end
