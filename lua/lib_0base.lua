-- The ground of the script: names that all files share.
--
-- All files become one chunk in the order of their names, so this one is the first.  Shared functions live in
-- the tables below (a chunk may have 200 locals, and a table's field may be used before the file that sets it).
-- An inode number is always its 8 bytes, big-endian, named `ino`, `dir`, `parent`; num.dec() makes it decimal.

local ops = {} -- kind -> function(env, op), set by op_*.lua
local groups = {} -- kind -> function(env, s), set by op_*.lua: many ops of a kind as one argument
local load_of = {} -- kind -> what runs its file, set by tools/gen_lua.sh
local num, opcodec, attr, perm, acl, acct, walk, trash = {}, {}, {}, {}, {}, {}, {}, {}

local call = redis.call
local byte, sub, find, char, format = string.byte, string.sub, string.find, string.char, string.format
local concat, floor = table.concat, math.floor
local pack, unpack_at = struct.pack, struct.unpack
local band, bor, bnot = bit.band, bit.bor, bit.bnot

-- KEYS[1] is the prefix and "setting".
local P = sub(KEYS[1], 1, -8)

local E = {
    PERM = 1, NOENT = 2, IO = 5, AGAIN = 11, ACCES = 13, BUSY = 16, EXIST = 17, XDEV = 18, NOTDIR = 20, ISDIR = 21,
    INVAL = 22, FBIG = 27, NOSPC = 28, ROFS = 30, MLINK = 31, PIPE = 32, RANGE = 34, NAMETOOLONG = 36,
    NOTEMPTY = 39, LOOP = 40, NODATA = 61, NOTSUP = 95, DQUOT = 122,
}

-- Types of an inode.
local T = { FILE = 1, DIR = 2, SYMLINK = 3, FIFO = 4, BLOCKDEV = 5, CHARDEV = 6, SOCKET = 7 }

-- Bits of op.flags (OPF_*), of a result (OPR_*) and of Attr.Flags.
local F = {
    NOFOLLOW = 1, CREATE = 2, EXCL = 4, TRUNC = 8, DIRECTORY = 16, APPEND = 32, NOREPLACE = 64, EXCHANGE = 128,
    KILLPRIV = 256, BY_FD = 512, NOFOLLOW2 = 1024, OPATH = 2048,
}
local R = { CREATED = 1, TRASHED = 2, GONE = 4, DEFERRED = 8, FOREIGN = 16, LINKED = 32 }
local A = { IMMUTABLE = 1, APPEND = 2, FROZEN = 3, SKIP_TRASH = 32 }

-- What an op answers instead of its six values; ops say `return fail(E.NOENT)`.
local function fail(errno)
    return -errno, "", "", "", 0, ""
end
