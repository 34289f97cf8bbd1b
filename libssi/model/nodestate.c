/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a node at an event. Called by the head of membership. An event that means nothing in a state leaves it
 * as it is; whether an event may count at all (its incarnation) is for the caller to say.
 */
#include <errno.h>
#include <string.h>
#include "libssi/model/nodestate.h"

static const char *const nodestate_names[SSI_NODE_STATES] = {
	[SSI_NODE_OFF] = "off", [SSI_NODE_BOOTING] = "booting", [SSI_NODE_JOINED] = "joined",
	[SSI_NODE_SUSPECT] = "suspect", [SSI_NODE_DETACHED] = "detached", [SSI_NODE_FAILED] = "failed",
	[SSI_NODE_FENCING] = "fencing",
};

static const char *const nodehold_names[SSI_HOLDS] = { [SSI_HOLD_NONE] = "", [SSI_HOLD_DRAINED] = "drained", [SSI_HOLD_OUT] = "out" };

#define OFF SSI_NODE_OFF
#define BOOTING SSI_NODE_BOOTING
#define JOINED SSI_NODE_JOINED
#define SUSPECT SSI_NODE_SUSPECT
#define DETACHED SSI_NODE_DETACHED
#define FAILED SSI_NODE_FAILED
#define FENCING SSI_NODE_FENCING

/* doc/states.md draws this; tests/unit/test-nodestate.c compares the two. */
static const enum ssi_nodestate nodestate_table[SSI_EVENTS][SSI_NODE_STATES] = {
	/* in state:                off       booting   joined    suspect   detached  failed    fencing */
	[SSI_EVENT_BOOT]         = { BOOTING,  BOOTING,  BOOTING,  BOOTING,  BOOTING,  BOOTING,  BOOTING },
	[SSI_EVENT_JOIN]         = { JOINED,   JOINED,   JOINED,   JOINED,   DETACHED, JOINED,   FENCING },
	[SSI_EVENT_HEARTBEAT]    = { OFF,      BOOTING,  JOINED,   JOINED,   DETACHED, FAILED,   FENCING },
	[SSI_EVENT_SILENT]       = { OFF,      BOOTING,  SUSPECT,  SUSPECT,  DETACHED, FAILED,   FENCING },
	[SSI_EVENT_TIMEOUT]      = { OFF,      BOOTING,  DETACHED, DETACHED, DETACHED, FAILED,   FENCING },
	[SSI_EVENT_LEAVE]        = { OFF,      OFF,      OFF,      OFF,      DETACHED, FAILED,   FENCING },
	[SSI_EVENT_BOOT_FAILED]  = { FAILED,   FAILED,   JOINED,   SUSPECT,  DETACHED, FAILED,   FENCING },
	[SSI_EVENT_DETACH]       = { DETACHED, DETACHED, DETACHED, DETACHED, DETACHED, DETACHED, FENCING },
	[SSI_EVENT_ACCEPT]       = { OFF,      BOOTING,  JOINED,   SUSPECT,  OFF,      FAILED,   FENCING },
	[SSI_EVENT_FENCE]        = { FENCING,  FENCING,  FENCING,  FENCING,  FENCING,  FENCING,  FENCING },
	[SSI_EVENT_FENCED]       = { OFF,      BOOTING,  JOINED,   SUSPECT,  DETACHED, FAILED,   OFF },
	[SSI_EVENT_FENCE_FAILED] = { OFF,      BOOTING,  JOINED,   SUSPECT,  DETACHED, FAILED,   DETACHED },
};

const char *ssi_nodestate_name(enum ssi_nodestate s)
{
	return (unsigned)s < SSI_NODE_STATES ? nodestate_names[s] : "unknown";
}

int ssi_nodestate_parse(const char *name)
{
	for (int s = 0; s < SSI_NODE_STATES; s++)
		if (!strcmp(nodestate_names[s], name))
			return s;
	return -EINVAL;
}

const char *ssi_nodehold_name(enum ssi_nodehold h)
{
	return (unsigned)h < SSI_HOLDS ? nodehold_names[h] : "unknown";
}

int ssi_nodehold_parse(const char *name)
{
	for (int h = 0; h < SSI_HOLDS; h++)
		if (!strcmp(nodehold_names[h], name))
			return h;
	return -EINVAL;
}

enum ssi_nodestate ssi_nodestate_next(enum ssi_nodestate s, enum ssi_nodeevent ev)
{
	if ((unsigned)s >= SSI_NODE_STATES || (unsigned)ev >= SSI_EVENTS)
		return s;
	return nodestate_table[ev][s];
}
