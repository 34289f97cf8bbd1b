/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What nodes.d/ says: systems, nodes, machines, and for every value which file and line set it. Pure: it is given texts and
 * gives back a registry or every mistake in them; it opens nothing. The format is in doc/nodes.d.md (man: ssi-nodes.d(5)).
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"
#include "libssi/model/mac.h"

struct ssi_registry_source { const char *name; const char *text; size_t len; };   /* name as it appears in messages: "nodes.d/10-demo.ini" */

/* Where a value came from. file is borrowed from the registry; line 0 and file "default" for built-in values. */
struct ssi_origin { const char *file; unsigned line; const char *section; };

struct ssi_value { const char *key; const char *value; struct ssi_origin from; };

enum ssi_dhcp { SSI_DHCP_SERVER, SSI_DHCP_PROXY };
enum ssi_on_upgrade { SSI_UPGRADE_ASK, SSI_UPGRADE_KEEP, SSI_UPGRADE_FRESH };    /* of state: its image's generation is another one than before */
enum ssi_failover { SSI_FAILOVER_OFF, SSI_FAILOVER_ASK, SSI_FAILOVER_AUTO };
enum ssi_fence { SSI_FENCE_BOTH, SSI_FENCE_STORAGE, SSI_FENCE_POWER };
enum ssi_discovery { SSI_DISCOVERY_ASK, SSI_DISCOVERY_SPARE, SSI_DISCOVERY_BIND };

struct ssi_system {
	char name[64];
	char interface[16];             /* of the master on the provisioning network */
	struct in_addr network, netmask, master;   /* network byte order */
	struct in_addr portal;          /* a second address of the master, for iSCSI; 0 = none */
	unsigned prefix;
	struct in_addr pool_first, pool_last;      /* addresses for machines that are no node's; 0 = none */
	enum ssi_dhcp dhcp;
	enum ssi_discovery discovery;
	enum ssi_fence fence;           /* what makes sure that a failed node's machine does no harm */
	uint32_t heartbeat_ms, detach_ms;
	const char *shared;             /* file systems that all its nodes share, as it stands in nodes.d (shared.h); "" if none */
	/* What becomes of a detached node (doc/failover.md). */
	enum ssi_failover failover;
	uint32_t failover_delay_ms;
	uint32_t failover_limit, failover_limit_ms;   /* at most so many in so long */
	uint32_t failover_share;                   /* percent of its nodes: if more vanish at once, it is the network */
	uint32_t spares;                           /* so many machines are kept for that; */
	const char **spare_machines; size_t n_spare_machines;   /* or these */
	struct ssi_value *values; size_t n_values; /* every key that applies, for show */
	struct ssi_origin from;
};

struct ssi_node {
	char name[64];
	uint32_t number;                /* 1.. within the registry, in order of appearance; 0 is the master */
	const struct ssi_system *system;
	struct in_addr address;
	char role[16];                  /* "compute" (default) or "leader" */
	char image[65];
	char init[16];                  /* "ssi" (default) or "systemd" */
	char root[8];                   /* "nfs" (default), "ram" or "iscsi" */
	bool state;                     /* has a state volume (state = disk) */
	uint64_t state_size;            /* bytes, of one that is made */
	char state_fs[8];               /* "ext4" (default) or "xfs", of one that is made */
	enum ssi_on_upgrade state_on_upgrade;
	const char *args;               /* further kernel arguments, "" if none */
	char machine[SSI_MAC_LEN];      /* fixed binding from nodes.d, or "" */
	struct ssi_value *values; size_t n_values; /* every key that applies, with its origin, for show */
	struct ssi_origin from;
};

struct ssi_machine {
	char mac[SSI_MAC_LEN];          /* the section's name, and the machine's key everywhere */
	struct ssi_value *values; size_t n_values; /* power, power.*, comment, ... */
	struct ssi_origin from;
};

struct ssi_registry {
	struct ssi_system **systems; size_t n_systems;
	struct ssi_node **nodes; size_t n_nodes;           /* in order of appearance: their number */
	struct ssi_machine **machines; size_t n_machines;
	void *priv;
};

/* All sources in the order given (the caller sorts by name). On mistakes: -EINVAL, *ret untouched, and every mistake in errors, one line each:
 * "nodes.d/10-a.ini:12: unknown key 'imgae' in [node]: did you mean 'image'?". errors may not be NULL. Linear (hash tables) in the input. */
int ssi_registry_parse(const struct ssi_registry_source *src, size_t n, struct ssi_registry **ret, struct ssi_buf *errors);
void ssi_registry_free(struct ssi_registry *r);
static inline void ssi_registry_freep(struct ssi_registry **r) { ssi_registry_free(*r); }
#define _cleanup_registry_ SSI_CLEANUP(ssi_registry_freep)

/* Borrowed; NULL if there is none. Constant time. */
const struct ssi_node *ssi_registry_node(const struct ssi_registry *r, const char *name);
const struct ssi_system *ssi_registry_system(const struct ssi_registry *r, const char *name);
const struct ssi_machine *ssi_registry_machine(const struct ssi_registry *r, const char *mac);
/* The value of a machine's key, or NULL. */
const char *ssi_machine_value(const struct ssi_machine *m, const char *key);
/* Do two nodes differ in anything that matters to a boot or a host entry? (For reload: what changed.) */
bool ssi_node_equal(const struct ssi_node *a, const struct ssi_node *b);
