/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A node's life, as two constant tables (doc/states.md draws them), and what an administrator has decided about it. Pure: it says what comes next, others do it. */
enum ssi_nodestate {
	SSI_NODE_OFF,          /* nothing known of it, or shut down in order */
	SSI_NODE_BOOTING,      /* its machine fetched a boot script */
	SSI_NODE_JOINED,       /* counts in the totals */
	SSI_NODE_SUSPECT,      /* silent for more than half the limit */
	SSI_NODE_DETACHED,     /* silent for the limit, said goodbye without a shutdown, or taken out by hand */
	SSI_NODE_FAILED,       /* its boot stopped for good */
	SSI_NODE_FENCING,      /* it is being made sure that its machine does no harm any more */
	SSI_NODE_STATES
};
enum ssi_nodeevent {
	SSI_EVENT_BOOT, SSI_EVENT_JOIN, SSI_EVENT_HEARTBEAT, SSI_EVENT_SILENT, SSI_EVENT_TIMEOUT, SSI_EVENT_LEAVE, SSI_EVENT_BOOT_FAILED,
	SSI_EVENT_DETACH, SSI_EVENT_ACCEPT, SSI_EVENT_FENCE, SSI_EVENT_FENCED, SSI_EVENT_FENCE_FAILED, SSI_EVENTS
};
const char *ssi_nodestate_name(enum ssi_nodestate s);               /* "off", "booting", ... */
int ssi_nodestate_parse(const char *name);                          /* the state, or -EINVAL */
/* Stands beside the state, outlives boots, and ends by hand alone. */
enum ssi_nodehold {
	SSI_HOLD_NONE,
	SSI_HOLD_DRAINED,      /* nothing new is to be placed there; what runs goes on */
	SSI_HOLD_OUT,          /* detached by hand: its machine gets no boot script */
	SSI_HOLDS
};
const char *ssi_nodehold_name(enum ssi_nodehold h);                 /* "", "drained", "out" */
int ssi_nodehold_parse(const char *name);                           /* the hold, or -EINVAL */
enum ssi_nodestate ssi_nodestate_next(enum ssi_nodestate s, enum ssi_nodeevent ev);
