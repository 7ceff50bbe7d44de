-- walk - paths to inodes: symlinks, "..", trailing slashes and search permission as the kernel's walk has them.
--
-- walk.start() makes the state w; walk.to_last() goes to the directory of the last component, walk.object() to the
-- object itself.  Both answer nil or an error for walk.fail(), which turns it into an op's result.
--
--   w.dir, w.a     the directory that was reached, and its attr
--   w.name         last component, w.kind: "norm", "dot", "dotdot" or "root" (nothing but slashes, or "")
--   w.slash        slashes follow it
--   w.ino, w.attr  walk.object(): the object and its attr; w.corrupt: an entry names it, but it has no attr
--   w.parent       walk.object(): the directory it was found in
do
    local ESCAPE = -1
    local LINKS_MAX, PATH_MAX, NAME_MAX = 40, 4095, 255

    function walk.start(env, op, base, path)
        local w = {
            env = env, op = op, dir = base, a = nil, rest = path, links = 0, name = "", kind = "root", slash = false,
            ino = nil, attr = nil, parent = nil, corrupt = false, escape = nil,
        }
        if #path > PATH_MAX then
            return w, E.NAMETOOLONG
        end
        w.a = attr.load(base)
        return w, not w.a and E.NOENT or nil
    end

    -- which: 2 when it was the walk of path2
    function walk.fail(w, err, which)
        if err == ESCAPE then
            return 1, "", "", "", which or 1, w.escape
        end
        return -err, "", "", "", 0, ""
    end

    -- type, ino of a name in w.dir, or nil.
    function walk.entry(w, name)
        if name == ".trash" and w.dir == num.ROOT then
            return T.DIR, num.TRASH
        end
        local v = call("HGET", P .. "d" .. num.dec(w.dir), name)
        if not v then
            return nil
        end
        return attr.of_entry(v)
    end

    -- "..": tail is what follows it, "" or beginning with a slash.
    local function up(w, tail)
        if w.dir == num.ROOT then
            w.escape = w.env.mount .. "/.." .. tail
            return ESCAPE
        end
        local dir = w.a.parent
        local a = attr.load(dir)
        if not a then
            return E.NOENT
        end
        w.dir, w.a = dir, a
        return nil
    end

    -- Puts the symlink's target before tail; the walk goes on there.
    local function follow(w, ino, tail)
        w.links = w.links + 1
        if w.links > LINKS_MAX then
            return E.LOOP
        end
        local target = call("GET", P .. "s" .. num.dec(ino))
        if not target or target == "" then
            return E.IO
        end
        if byte(target, 1) ~= 47 then
            w.rest = target .. tail
            return nil
        end
        local mount = w.env.mount
        local plain = string.gsub(target, "/+", "/")
        local n = #mount
        if n == 0 or sub(plain, 1, n) ~= mount or (#plain > n and byte(plain, n + 1) ~= 47) then
            w.escape = target .. tail
            return ESCAPE
        end
        w.dir = num.ROOT
        w.a = attr.load(num.ROOT)
        if not w.a then
            return E.NOENT
        end
        w.rest = sub(plain, n + 1) .. tail
        return nil
    end

    function walk.to_last(w)
        local pos = 1
        while true do
            local rest = w.rest
            local from = find(rest, "[^/]", pos)
            if not from then
                w.kind, w.name, w.slash = "root", "", #rest > 0
                return (w.slash and w.a.type ~= T.DIR) and E.NOTDIR or nil
            end
            local to = find(rest, "/", from, true)
            local name = sub(rest, from, to and to - 1 or -1)
            local a = w.a
            if a.type ~= T.DIR then
                return E.NOTDIR
            elseif not perm.check(w.op, a, 1) then
                return E.ACCES
            elseif #name > NAME_MAX then
                return E.NAMETOOLONG
            end
            local following = to and find(rest, "[^/]", to)
            if not following then
                w.name, w.slash = name, to ~= nil
                w.kind = name == "." and "dot" or name == ".." and "dotdot" or "norm"
                return nil
            end
            pos = following
            if name == ".." then
                local err = up(w, sub(rest, to))
                if err then
                    return err
                end
            elseif name ~= "." then
                local type, ino = walk.entry(w, name)
                if not type then
                    return E.NOENT
                elseif type == T.SYMLINK then
                    local err = follow(w, ino, sub(rest, to))
                    if err then
                        return err
                    end
                    pos = 1
                elseif type ~= T.DIR then
                    return E.NOTDIR
                else
                    a = attr.load(ino)
                    if not a then
                        return E.NOENT
                    end
                    w.dir, w.a = ino, a
                end
            end
        end
    end

    -- An entry whose inode has no attr: stock shows its type and nothing else; but the trash, which a volume without
    -- trash never made, as an empty directory.
    local function no_attr(type, ino)
        local zero = num.ZERO .. "\0\0\0\0"
        local a = {
            flags = 0, type = type, mode = 0, uid = 0, gid = 0, atime = zero, mtime = zero, ctime = zero, nlink = 0,
            length = 0, rdev = 0, parent = num.ZERO, acl = nil, tier = 0,
        }
        if ino == num.TRASH then
            a.mode, a.nlink, a.parent = 365, 2, num.ROOT -- 0555
        end
        a.raw = attr.encode(a)
        return a
    end

    -- A symlink that is the last component is followed unless `nofollow`; slashes after it force that, and that the
    -- object is a directory, which O_CREAT (`creating`) refuses.  E.NOENT with w.ino == nil and w.kind == "norm": w.dir
    -- has no such name.
    function walk.object(w, nofollow, creating)
        while true do
            local err = walk.to_last(w)
            if not err and creating and w.slash and w.kind == "norm" then
                err = E.ISDIR
            end
            if err then
                w.kind = "failed"
                return err
            end
            local kind = w.kind
            if kind == "dotdot" then
                err = up(w, w.slash and "/" or "")
                if err then
                    return err
                end
            end
            if kind ~= "norm" then
                w.ino, w.attr, w.parent = w.dir, w.a, w.a.parent
                return nil
            end
            local type, ino = walk.entry(w, w.name)
            if not type then
                return E.NOENT
            end
            if type == T.SYMLINK and (w.slash or not nofollow) then
                w.linked = true
                err = follow(w, ino, w.slash and "/" or "")
                if err then
                    w.kind = "failed"
                    return err
                end
            else
                local a = attr.load(ino)
                if not a then
                    a = no_attr(type, ino)
                    w.corrupt = true
                end
                w.ino, w.attr, w.parent = ino, a, w.dir
                if w.slash and a.type ~= T.DIR then
                    return E.NOTDIR
                end
                return nil
            end
        end
    end

    -- Is dir, or a directory above it, `ino`?  Up to the root; nil when it is too deep to tell.
    function walk.is_below(dir, ino)
        for _ = 1, 10000 do
            if dir == ino then
                return true
            elseif dir == num.ROOT or dir == num.ZERO or num.is_trash(dir) then
                return false
            end
            local a = attr.load(dir)
            if not a then
                return false
            end
            dir = a.parent
        end
        return nil
    end
end
