/*
** host.c - numeric hosts as texts.
*/
#include <string.h>

#include "module.h"

void module_host(const struct sockaddr *address, char *text) {
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
  size_t len, room;
  strcpy(text, "?");
  (void)uv_ip_name(address, text, MODULE_HOST_SIZE); /* else "?" */
  if (address->sa_family != AF_INET6 || in6->sin6_scope_id == 0)
    return;
  len = strlen(text);
  text[len++] = '%';
  room = MODULE_HOST_SIZE - len;
  if (uv_if_indextoname(in6->sin6_scope_id, text + len, &room) != 0)
    text[len - 1] = '\0'; /* the interface has gone */
}
