/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A node's life, as two constant tables (doc/states.md draws them). Pure: it says what comes next, others do it. */
enum ssi_nodestate {
	SSI_NODE_OFF,          /* nothing known of it, or shut down in order */
	SSI_NODE_BOOTING,      /* its machine fetched a boot script */
	SSI_NODE_JOINED,       /* counts in the totals */
	SSI_NODE_SUSPECT,      /* silent for more than half the limit */
	SSI_NODE_DETACHED,     /* silent for the limit, or said goodbye without a shutdown */
	SSI_NODE_FAILED,       /* its boot stopped for good */
	SSI_NODE_STATES
};
enum ssi_nodeevent {
	SSI_EVENT_BOOT, SSI_EVENT_JOIN, SSI_EVENT_HEARTBEAT, SSI_EVENT_SILENT, SSI_EVENT_TIMEOUT, SSI_EVENT_LEAVE, SSI_EVENT_BOOT_FAILED, SSI_EVENTS
};
const char *ssi_nodestate_name(enum ssi_nodestate s);               /* "off", "booting", ... */
int ssi_nodestate_parse(const char *name);                          /* the state, or -EINVAL */
enum ssi_nodestate ssi_nodestate_next(enum ssi_nodestate s, enum ssi_nodeevent ev);
