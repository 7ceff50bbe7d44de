/*
 * lua_text - the dispatcher script, made at build time from lua/ (tools/gen_lua.sh).
 *
 * Layer: redis.
 */
#ifndef JFSPRE_CORE_REDIS_LUA_TEXT_H
#define JFSPRE_CORE_REDIS_LUA_TEXT_H

extern const char lua_dispatch_text[]; /* NUL-terminated */
extern const char lua_dispatch_sha1[]; /* 40 hex digits of exactly that text */

#endif
