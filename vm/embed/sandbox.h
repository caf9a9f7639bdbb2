/*
** sandbox.h - capabilities, as the other files of vm/embed ask for them.
*/
#ifndef NEAP_SANDBOX_H
#define NEAP_SANDBOX_H

#include "../core/vm.h"

/* The name of one capability, "fs". Static. */
const char *neap__capability_name(unsigned capability);

/* Replaces the C function at the top, which has no upvalues, by one that
   raises an error when the VM has the capability no longer. */
void neap__gate(lua_State *L, unsigned capability);

#endif
