/*
** address.c - addresses: numeric ones as they are, names by the system's
** resolver.
**
** A look-up is work for a thread, of which libuv lets look-ups have half at
** most: files are never starved by a server of names that does not answer.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

uv_loop_t *net__loop(lua_State *L) {
  uv_loop_t *loop;
  int status = neap_loop(neap_from_lua(L), &loop);
  if (status != NEAP_OK)
    luaL_error(L, "%s", neap_strerror(status));
  return loop;
}

/* Makes an address of a numeric host. Whether it was one. */
static int parse(const char *host, int port, net__sockaddr *address) {
  memset(address, 0, sizeof *address);
  return uv_ip4_addr(host, port, &address->in4) == 0 ||
         uv_ip6_addr(host, port, &address->in6) == 0;
}

void net__check_address(lua_State *L, int arg, const char *function,
                        net__sockaddr *address) {
  const char *host = module_path(L, arg, function, "host");
  int port = (int)module_integer(L, arg + 1, function, "port", 0, 65535);
  if (!parse(host, port, address))
    module_refuse(L, "%s: '%s' is no numeric address", function, host);
}

const char *net__check_path(lua_State *L, int arg, const char *function) {
  const char *path = module_path(L, arg, function, "path");
  if (*path == '\0')
    module_refuse(L, "%s: the path is empty", function);
  return path;
}

const char *net__address_text(const net__sockaddr *address, char *text,
                              size_t size) {
  char host[MODULE_HOST_SIZE];
  int is6 = address->any.sa_family == AF_INET6;
  module_host(&address->any, host);
  (void)snprintf(text, size, is6 ? "[%s]:%d" : "%s:%d", host,
                 ntohs(address->in4.sin_port));
  return text;
}

int net__push_address(lua_State *L, const struct sockaddr *address) {
  char host[MODULE_HOST_SIZE];
  module_host(address, host);
  lua_pushstring(L, host);
  lua_pushinteger(L, ntohs(((const struct sockaddr_in *)address)->sin_port));
  return 2;
}

int net__error(lua_State *L, int status, const char *syscall,
               const net__sockaddr *address) {
  char text[NET__ADDRESS_SIZE];
  return module_os_error(L, status, syscall, "address",
                         net__address_text(address, text, sizeof text));
}

/* Lua: check_address(host, port): refuses what is none */
static int check_address(lua_State *L) {
  net__sockaddr address;
  net__check_address(L, 1, "connect", &address);
  return 0;
}

/* Lua: is_numeric(host) */
static int is_numeric(lua_State *L) {
  net__sockaddr address;
  lua_pushboolean(L, parse(module_path(L, 1, "net", "host"), 0, &address));
  return 1;
}

/* {======================================================
** Look-ups
** ======================================================= */

/* A userdata on the task's stack, and the request, memory of its own. */
typedef struct lookup {
  neap_wait wait;
  struct lookup_request *request; /* NULL: over */
  struct addrinfo *found;
  int status;
} lookup;

typedef struct lookup_request {
  uv_getaddrinfo_t uv;
  neap_vm *vm;   /* whose loop is retained */
  lookup *owner; /* NULL: nobody waits any longer */
} lookup_request;

static void looked_up(uv_getaddrinfo_t *uv, int status,
                      struct addrinfo *found) {
  lookup_request *request = (lookup_request *)uv;
  lookup *l = request->owner;
  neap_vm *vm = request->vm;
  free(request);
  if (l == NULL)
    uv_freeaddrinfo(found);
  else {
    l->request = NULL;
    l->found = found;
    l->status = status;
    (void)neap_wake(&l->wait);
  }
  neap_loop_release(vm);
}

static void lookup_end(lookup *l) {
  if (l->request != NULL) {
    l->request->owner = NULL;
    (void)uv_cancel((uv_req_t *)&l->request->uv); /* fails when it has begun */
    l->request = NULL;
  }
  uv_freeaddrinfo(l->found);
  l->found = NULL;
}

static void lookup_cancel(neap_wait *wait) { lookup_end((lookup *)wait); }

static int lookup_gc(lua_State *L) {
  lookup_end((lookup *)lua_touserdata(L, 1));
  return 0;
}

/* Whether the address stands in the list before: /etc/hosts may repeat it. */
static int is_repeated(const struct addrinfo *list,
                       const struct addrinfo *each) {
  while (list != each && (list->ai_addrlen != each->ai_addrlen ||
                          memcmp(list->ai_addr, each->ai_addr,
                                 each->ai_addrlen) != 0))
    list = list->ai_next;
  return list != each;
}

/* Pushes the list of the addresses, each once. */
static int push_found(lua_State *L, int status, lua_KContext ctx) {
  lookup *l = (lookup *)ctx;
  const struct addrinfo *each;
  lua_Integer n = 0;
  (void)status;
  if (l->status != 0)
    return module_os_error(L, l->status, "getaddrinfo", "address",
                           lua_tostring(L, 1));
  lua_newtable(L);
  for (each = l->found; each != NULL; each = each->ai_next)
    if (!is_repeated(l->found, each)) {
      (void)net__push_address(L, each->ai_addr);
      lua_pop(L, 1);
      lua_rawseti(L, -2, ++n);
    }
  lookup_end(l);
  return 1;
}

/* Lua: resolve(host, family): family nil, "inet" or "inet6" */
static int resolve(lua_State *L) {
  const char *host = module_path(L, 1, "resolve", "host");
  const char *family = lua_tostring(L, 2);
  struct addrinfo hints;
  lookup_request *request;
  uv_loop_t *loop = net__loop(L);
  lookup *l;
  module_check(L, NEAP_CAN_NET, "resolve");
  l = (lookup *)lua_newuserdatauv(L, sizeof *l, 0);
  memset(l, 0, sizeof *l);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM; /* not again for each other kind */
  if (family != NULL)
    hints.ai_family = strcmp(family, "inet") == 0 ? AF_INET : AF_INET6;
  request = (lookup_request *)malloc(sizeof *request);
  if (request == NULL)
    return luaL_error(L, "not enough memory");
  request->vm = neap_from_lua(L);
  l->status = neap_threads();
  if (l->status == 0)
    l->status =
        uv_getaddrinfo(loop, &request->uv, looked_up, host, NULL, &hints);
  if (l->status != 0) {
    free(request);
    return push_found(L, NEAP_OK, (lua_KContext)l);
  }
  neap_loop_retain(request->vm);
  request->owner = l;
  l->request = request;
  l->wait.cancel = lookup_cancel;
  l->wait.what = "the resolver";
  return neap_suspend(L, &l->wait, HUGE_VAL, (lua_KContext)l, push_found);
}

const luaL_Reg net__address_functions[] = {
    {"check_address", check_address},
    {"is_numeric", is_numeric},
    {"resolve", resolve},
    {NULL, NULL}};

void net__lookup_init(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, lookup_gc);
  lua_setfield(L, -2, "__gc");
}

/* ====================================================== } */
