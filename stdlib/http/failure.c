/*
** failure.c - what curl's code for a transfer that has ended means to Lua's
** half: a kind of failure, and where the system gave one, its error code.
*/
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "curl.h"

typedef struct meaning {
  CURLcode code;
  const char *kind;
  const char *text; /* the failure's code; NULL: the system's, if any */
} meaning;

/* What is not here: before the head has come the server or the network has
   failed ("disconnected"), after it the body ("payload"). */
static const meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "connect", "ENOTFOUND"},
    {CURLE_COULDNT_CONNECT, "connect", NULL},
    {CURLE_INTERFACE_FAILED, "connect", NULL},
    {CURLE_COULDNT_RESOLVE_PROXY, "proxy", "ENOTFOUND"},
    {CURLE_PROXY, "proxy", NULL},
    {CURLE_OPERATION_TIMEDOUT, "timeout", "connect"},
    {CURLE_SSL_CONNECT_ERROR, "ssl", NULL},
    {CURLE_SSL_ENGINE_NOTFOUND, "ssl", NULL},
    {CURLE_SSL_ENGINE_SETFAILED, "ssl", NULL},
    {CURLE_SSL_CERTPROBLEM, "ssl", NULL},
    {CURLE_SSL_CIPHER, "ssl", NULL},
    {CURLE_PEER_FAILED_VERIFICATION, "ssl", NULL},
    {CURLE_USE_SSL_FAILED, "ssl", NULL},
    {CURLE_SSL_CACERT_BADFILE, "ssl", NULL},
    {CURLE_SSL_SHUTDOWN_FAILED, "ssl", NULL},
    {CURLE_SSL_CRL_BADFILE, "ssl", NULL},
    {CURLE_SSL_ISSUER_ERROR, "ssl", NULL},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, "ssl", NULL},
    {CURLE_SSL_INVALIDCERTSTATUS, "ssl", NULL},
    {CURLE_SSL_CLIENTCERT, "ssl", NULL},
    {CURLE_URL_MALFORMAT, "url", NULL},
    {CURLE_ABORTED_BY_CALLBACK, "request", NULL},
    {CURLE_READ_ERROR, "request", NULL},
    {CURLE_FILE_COULDNT_READ_FILE, "request", NULL},
};

/* Codes that say, before the head has come: this is no HTTP. */
static int is_no_http(CURLcode code) {
  return code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_HTTP2 ||
         code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WRITE_ERROR ||
         code == CURLE_BAD_CONTENT_ENCODING ||
         code == CURLE_BAD_FUNCTION_ARGUMENT ||
         code == CURLE_OUT_OF_MEMORY; /* a line of the head is too long, too */
}

/* The name of the system's error of the transfer; NULL: none. `connected`: a
   connection that was refused before then (one of several addresses) is not
   what ended it. */
static const char *system_code(CURL *easy, int connected) {
  long number = 0;
  if (curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number) != CURLE_OK ||
      number == 0 || (connected && number == ECONNREFUSED))
    return NULL;
  switch (uv_translate_sys_error((int)number)) {
#define NAME(code, text) case UV_##code: return #code;
    UV_ERRNO_MAP(NAME)
#undef NAME
  default:
    return NULL;
  }
}

/* Whether a proxy did not want to connect. */
static int is_refused_by_proxy(CURL *easy) {
  long status = 0;
  return curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status) ==
             CURLE_OK && status >= 300;
}

void http__failure_of(http__transfer *t, CURLcode code) {
  size_t i;
  if (code == CURLE_OK && t->head_done)
    return;
  if (code == CURLE_OK)
    (void)snprintf(t->message, sizeof t->message,
                   "the connection ended inside the response's head");
  else if (code == CURLE_OUT_OF_MEMORY)
    (void)snprintf(t->message, sizeof t->message, "%s, or memory has ended",
                   t->head_done ? "it expands to more than 64 MiB at once"
                                : "a line of the response's head is too long");
  else if (t->head_refused)
    (void)snprintf(t->message, sizeof t->message,
                   "the response's head or trailer is too large");
  else if (code == CURLE_ABORTED_BY_CALLBACK)
    (void)snprintf(t->message, sizeof t->message,
                   "the body is shorter than its Content-Length");
  else if (t->message[0] == '\0')
    (void)snprintf(t->message, sizeof t->message, "%s",
                   curl_easy_strerror(code));
  t->failure.kind = t->head_done ? "payload"
                    : is_no_http(code) ? "response"
                                       : "disconnected";
  t->failure.code = system_code(t->easy, code != CURLE_COULDNT_CONNECT);
  if (!t->head_done && is_refused_by_proxy(t->easy))
    t->failure.kind = "proxy";
  for (i = 0; i < sizeof meanings / sizeof *meanings; i++) {
    if (meanings[i].code == code) {
      t->failure.kind = meanings[i].kind;
      if (meanings[i].text != NULL)
        t->failure.code = meanings[i].text;
    }
  }
}
