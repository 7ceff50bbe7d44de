-- OP_STATFS: extra: i64 usedSpace, i64 totalInodes, i64 directories with a quota.
ops[7] = function(env, op)
    local used = call("MGET", P .. "usedSpace", P .. "totalInodes")
    return 0, "", "", "", 0, pack(">i8i8i8", tonumber(used[1] or 0) or 0, tonumber(used[2] or 0) or 0,
        call("HLEN", P .. "dirQuota"))
end
