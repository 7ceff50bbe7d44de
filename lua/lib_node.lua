-- node - making an inode and its name (juicefs-format.md 5.4); for open, mknod, mkdir and symlink.

-- Names at the root that only stock answers for.
node.RESERVED = { [".trash"] = true, [".control"] = true, [".accesslog"] = true, [".stats"] = true, [".config"] = true }

-- May the caller add a name to w.dir?  nil or an errno.
function node.may_add(op, w)
    local d = w.a
    if num.is_trash(w.dir) then
        return E.PERM
    elseif num.in_trash(d.parent) then
        return E.NOENT
    elseif not perm.check(op, d, 3) then
        return E.ACCES
    elseif d.flags % 2 == A.IMMUTABLE then
        return E.PERM
    end
    return nil
end

-- The last steps of mknod(2), mkdir(2), symlink(2), link(2) before the change: w stands on the last component, which
-- must be free.  Slashes after it are for directories.
function node.must_be_free(w, is_dir)
    if w.kind ~= "norm" or walk.entry(w, w.name) then
        return E.EXIST
    elseif w.slash and not is_dir then
        return E.NOENT
    end
    return nil
end

-- May the caller make op.ino, which takes so much space, as w.name, which is free?  nil or an errno.
function node.refused(env, op, w, space)
    local err = node.may_add(op, w)
    if err then
        return err
    elseif w.dir == num.ROOT and node.RESERVED[w.name] then
        return E.EXIST
    elseif op.ino == num.ZERO or op.ino == num.ROOT or num.is_trash(op.ino) then
        return E.INVAL
    end
    return acct.room(env, w.dir, space, 1)
end

-- op.ino, whose attr *a* is written, gets its name: the directory, the entry, the counters.
function node.enter(env, op, w, a)
    local d, dir = w.a, w.dir
    local is_dir = a.type == T.DIR
    if is_dir then
        d.nlink = d.nlink + 1
    end
    if attr.touch(env, op, dir, d, is_dir) then
        attr.save(dir, d)
    end
    call("HSET", num.key("d", dir), w.name, attr.entry(a.type, op.ino))
    if is_dir then
        local f = num.dec(op.ino)
        call("HSET", P .. "dirUsedInodes", f, "0")
        call("HSET", P .. "dirDataLength", f, "0")
        call("HSET", P .. "dirUsedSpace", f, "0")
    end
    acct.volume(acct.usage(attr.data_length(a)), 1)
    acct.entry(env, dir, a, 1)
end

-- Makes op.ino with the name w.name in w.dir; that the name is free was checked.  mode: bits asked for, target: of a
-- symlink.  Returns nil and the new attr, or an errno with nothing written.
function node.create(env, op, w, type, mode, target)
    local d, dir, ino = w.a, w.dir, op.ino
    local err = node.refused(env, op, w, 4096)
    if err then
        return err
    end
    local setgid = band(d.mode, 1024) ~= 0
    local a = attr.new(op, type, 0, op.uid, setgid and d.gid or op.gid, dir)
    a.flags = band(d.flags, A.SKIP_TRASH)
    a.tier = d.tier
    if target then
        a.mode = 511
        a.length = #target
    else
        a.rdev = (type == T.BLOCKDEV or type == T.CHARDEV) and op.rdev or 0
        if not acl.inherit(d, a, mode) then
            a.mode = band(mode, bnot(op.umask))
        end
        if setgid and type == T.DIR then
            a.mode = bor(a.mode, 1024)
        elseif setgid and band(mode, 1032) == 1032 and op.uid ~= 0 and not perm.in_group(op, d.gid) then
            a.mode = band(a.mode, bnot(1024)) -- the kernel looks at the mode before the umask
        end
    end
    a.raw = attr.encode(a)
    if call("SETNX", num.key("i", ino), a.raw) == 0 then -- an inode number is given once
        return E.IO
    end
    if target then
        call("SET", num.key("s", ino), target)
    end
    node.enter(env, op, w, a)
    return nil, a
end
