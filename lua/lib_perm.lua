-- perm - who may do what, as the kernel decides for a local file system (juicefs-format.md 5.0).

-- Is gid the caller's group or one of its supplementary ones?
function perm.in_group(op, gid)
    if op.gid == gid then
        return true
    end
    local gids = op.gids
    for i = 1, #gids - 3, 4 do
        if unpack_at(">I4", gids, i) == gid then
            return true
        end
    end
    return false
end

-- Does *a* grant every bit of mask (4 read, 2 write, 1 search or execute)?
function perm.check(op, a, mask)
    if op.uid == 0 then
        return mask % 2 == 0 or a.type == T.DIR or band(a.mode, 73) ~= 0 -- 0111
    end
    local mode = a.mode
    if a.acl and band(mode, 56) ~= 0 then -- 070
        local granted = acl.check(op, a, mask)
        if granted ~= nil then
            return granted
        end
    end
    if op.uid == a.uid then
        mode = floor(mode / 64)
    elseif perm.in_group(op, a.gid) then
        mode = floor(mode / 8)
    end
    return band(mode, mask) == mask
end

-- Is a name of the object *a* in the directory d protected by d's sticky bit?
function perm.sticky(op, d, a)
    return op.uid ~= 0 and band(d.mode, 512) ~= 0 and op.uid ~= d.uid and op.uid ~= a.uid
end

-- May the caller take the name of *a* out of w.dir?  nil or an errno; for unlink, rmdir and rename.  a: nil when the
-- entry's inode has no attr.
function perm.may_remove(op, w, a)
    local d = w.a
    if not perm.check(op, d, 3) then
        return E.ACCES
    elseif num.is_trash(w.dir) and op.uid ~= 0 then
        return E.PERM
    elseif band(d.flags, A.FROZEN) ~= 0 then
        return E.PERM
    elseif a and (perm.sticky(op, d, a) or band(a.flags, A.FROZEN) ~= 0) then
        return E.PERM
    end
    return nil
end

-- May the caller make a link to *a*?  fs.protected_hardlinks, which every distribution sets: only to what it owns,
-- or to a plain file that it may read and write.
function perm.may_link(op, a)
    if op.uid == 0 or op.uid == a.uid then
        return true
    end
    return a.type == T.FILE and band(a.mode, 2048) == 0 and band(a.mode, 1032) ~= 1032 and perm.check(op, a, 6)
end
