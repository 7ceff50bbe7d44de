-- OP_PURGE: the data of a file that delfiles lists.  OP_FORGET: the blocks of these slices are removed.
--
-- Both may come again, and others may do the same work: stock's hourly jobs take what is left (juicefs-format.md 5.22).

ops[22] = function(env, op)
    local ino = op.base
    if call("EXISTS", num.key("i", ino)) == 1 then -- it lives: not a deleted file
        return fail(E.BUSY)
    end
    local extra = purge.data(ino, op.len)
    call("ZREM", P .. "delfiles", num.dec(ino) .. ":" .. format("%.0f", op.len))
    return 0, ino, "", "", 0, extra
end

ops[23] = function(env, op)
    local refs, slices = P .. "sliceRef", op.data
    if #slices % 12 ~= 0 then
        return fail(E.INVAL)
    end
    for at = 1, #slices, 12 do
        local field = "k" .. num.dec(sub(slices, at, at + 7)) .. "_" .. format("%.0f", (unpack_at(">I4", slices, at + 8)))
        local n = call("HGET", refs, field)
        if n and byte(n) == 45 then -- negative
            call("HDEL", refs, field)
        end
    end
    return 0, "", "", "", 0, ""
end
