-- OP_CHUNKS: records of the chunks off .. off+len-1.  At most 256 chunks, and none after 1 MiB of records: who needs
-- more asks again for what follows the last one that came.  There is always one.
--
-- With BY_FD the inode may be gone: its last link went while this host had it open, its lists wait for OP_PURGE.
do
    local CHUNKS_MAX, BYTES_MAX = 256, 1048576

    ops[4] = function(env, op)
        local ino = op.base
        local a = attr.load(ino)
        if not a and not opcodec.has(op, F.BY_FD) then
            return fail(E.NOENT)
        elseif a and a.type ~= T.FILE then
            return fail(E.INVAL)
        end
        local first, n = op.off, op.len
        if n == 0 or first + n > 4294967296 then
            return fail(E.INVAL)
        end
        local past = a and floor((a.length + data.CHUNK - 1) / data.CHUNK) or 4294967296
        local stem = P .. "c" .. num.dec(ino) .. "_"
        local out, bytes = {}, 0
        for index = first, first + (n < CHUNKS_MAX and n or CHUNKS_MAX) - 1 do
            local records = ""
            if index < past then
                records = concat(call("LRANGE", stem .. format("%.0f", index), 0, -1))
            end
            out[#out + 1] = pack(">I4I4", index, #records) .. records
            bytes = bytes + #records
            if bytes >= BYTES_MAX then
                break
            end
        end
        return 0, ino, a and a.raw or "", a and a.parent or "", 0, concat(out)
    end
end
