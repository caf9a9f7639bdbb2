/*
** net.h - what the C files of `net` share.
*/
#ifndef NET_H
#define NET_H

#include "../module/module.h"
#include "../stream/stream.h"

#define NET__ADDRESS_SIZE 128 /* "host:port", or a path */

typedef union net__sockaddr {
  struct sockaddr any;
  struct sockaddr_in in4;
  struct sockaddr_in6 in6;
  struct sockaddr_storage storage;
} net__sockaddr;

/* address.c */

/* Lua's arguments at `arg`: a numeric host and a port. */
void net__check_address(lua_State *L, int arg, const char *function,
                        net__sockaddr *address);
/* Lua's argument at `arg`: the path of a Unix socket. An empty one would be a
   name that all of the machine shares. */
const char *net__check_path(lua_State *L, int arg, const char *function);
/* Writes "host:port" to `text`. Gives it. */
const char *net__address_text(const net__sockaddr *address, char *text,
                              size_t size);
/* Pushes host and port. */
int net__push_address(lua_State *L, const struct sockaddr *address);
/* The VM's loop; raises when it cannot be opened. */
uv_loop_t *net__loop(lua_State *L);
/* Closes a handle in memory of malloc's, which is freed then. Its `data` is the
   VM from now on, whose end waits for that. */
void net__handle_close(neap_vm *vm, uv_handle_t *handle);
/* Raises an OSError of that address. */
int net__error(lua_State *L, int status, const char *syscall,
               const net__sockaddr *address);

/* The functions of the files, for net.lua. Their upvalues: the stream_api, and
   the metatable of look-ups. */
extern const luaL_Reg net__address_functions[];
extern const luaL_Reg net__connect_functions[];
extern const luaL_Reg net__listen_functions[];
extern const luaL_Reg net__udp_functions[];
const stream_api *net__streams(lua_State *L);

void net__lookup_init(lua_State *L); /* pushes that metatable */
void net__listen_init(lua_State *L);
void net__udp_init(lua_State *L);

#endif
