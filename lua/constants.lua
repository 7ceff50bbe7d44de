-- Numbers with a name.  This file is not sent: tools/gen_lua.sh writes the number where the name stands.

-- errno, without its E
local E = {
    PERM = 1, NOENT = 2, IO = 5, AGAIN = 11, ACCES = 13, BUSY = 16, EXIST = 17, XDEV = 18, NOTDIR = 20, ISDIR = 21,
    INVAL = 22, FBIG = 27, NOSPC = 28, ROFS = 30, MLINK = 31, PIPE = 32, RANGE = 34, NAMETOOLONG = 36,
    NOTEMPTY = 39, LOOP = 40, NODATA = 61, NOTSUP = 95, DQUOT = 122,
    TOOBIG = 7, NODEV = 19, SPIPE = 29,
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
