/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The registry while it is made, in the order of its steps:
 *     registry-keys.c      the table of sections and keys, and what a value of each looks like
 *     registry-read.c      texts to sections, entries and names; which entry counts for which node
 *     registry-system.c    entries to systems, checked against each other
 *     registry-failover.c  a system's spares and what becomes of its detached nodes
 *     registry-node.c      entries to nodes: their system, their values
 *     registry-address.c   who has which address and machine
 * All memory is the arena's. An entry whose value was refused stays, so that it is neither used nor called missing.
 */
#include "libssi/base/arena.h"
#include "libssi/base/map.h"
#include "libssi/model/conf.h"
#include "libssi/model/nodelist.h"
#include "libssi/model/registry.h"

#define REG_NODES_MAX SSI_NODELIST_MAX

enum reg_kind { REG_SECTION_SYSTEM, REG_SECTION_NODE, REG_SECTION_MACHINE };

/* A node's keys first: an entry of [system] may stand for one of them. */
enum reg_key {
	REG_SYSTEM, REG_ADDRESS, REG_IMAGE, REG_ROLE, REG_INIT, REG_ROOT, REG_STATE, REG_STATE_SIZE, REG_STATE_FS, REG_STATE_ON_UPGRADE,
	REG_ARGS, REG_MACHINE, REG_NODE_KEYS,
	REG_INTERFACE = REG_NODE_KEYS, REG_NETWORK, REG_MASTER, REG_PORTAL, REG_DHCP, REG_POOL, REG_DISCOVERY, REG_HEARTBEAT, REG_DETACH, REG_FENCE, REG_SHARED,
	REG_SPARES, REG_FAILOVER, REG_FAILOVER_DELAY, REG_FAILOVER_LIMIT, REG_FAILOVER_SHARE, REG_KEYS,
	REG_OTHER = REG_KEYS,            /* a machine's: kept as they are */
};

struct reg_section {
	enum reg_kind kind;
	const char *file, *text;         /* text: "[node n[01-64]]" */
	unsigned line;
	size_t order;                    /* among all sections of all files */
	struct reg_node **nodes;         /* [node]: whom it names, in that order */
	size_t n_nodes;
	struct reg_system *system;       /* [system], [machine]: what it is of */
	struct ssi_machine *machine;
	struct reg_entry *entries[REG_KEYS];
};

struct reg_entry {
	const struct reg_section *section;
	const char *key, *value;
	unsigned line;
	bool refused;
};

struct reg_node {
	struct ssi_node pub;
	const struct reg_section *first;             /* that names it */
	struct {
		const struct reg_entry *entry;       /* the nearest; NULL: none in a [node] section */
		uint32_t place;                      /* of the node among those the section names */
	} chosen[REG_NODE_KEYS];
};

struct reg_system {
	struct ssi_system pub;
	const struct reg_section *first;
	const struct reg_entry *chosen[REG_KEYS];
	bool sound;                                  /* its network and its addresses can be relied on */
};

struct reg {
	struct ssi_registry pub;
	struct ssi_arena arena;
	struct ssi_map systems, nodes, machines;     /* names and MACs to the structures above */
	struct ssi_conf_errors errors;
	struct reg_section **sections;
	size_t n_sections;
	size_t n_named;                              /* by all [node] sections together */
	struct reg_section *now;                     /* the one being read */
	const char *file;                            /* the arena's copy of the source's name */
};

extern const struct ssi_conf_section reg_sections[];
const char *reg_key_name(enum reg_key k);
const char *reg_key_default(enum reg_key k);         /* NULL: none */
/* Texts that reg_sections has passed; they cannot fail. Addresses in host byte order. */
uint32_t reg_address(const char *value);
void reg_network(const char *value, uint32_t *ret_network, unsigned *ret_prefix);
void reg_pool(const char *value, uint32_t *ret_first, uint32_t *ret_last);

void reg_read(struct reg *r, const struct ssi_registry_source *src);
void reg_make_systems(struct reg *r);
void reg_make_nodes(struct reg *r);
void reg_check_addresses(struct reg *r);
void reg_check_machines(struct reg *r);
void reg_check_spare_machines(struct reg *r);

/* registry-failover.c: checks for the table, and a value into its system. */
int reg_check_spares(const char *value, struct ssi_err *e);
int reg_check_delay(const char *value, struct ssi_err *e);
int reg_check_limit(const char *value, struct ssi_err *e);
int reg_check_share(const char *value, struct ssi_err *e);
void reg_failover_take(struct reg *r, struct ssi_system *s, enum reg_key k, const char *value);

/* The entry that counts for a node: its own or its system's, or NULL. */
const struct reg_entry *reg_node_entry(const struct reg_node *n, enum reg_key k);
/* Add to a list for show. */
void reg_add_value(struct reg *r, struct ssi_value *values, size_t *n, enum reg_key k, const char *value, const struct reg_entry *from);
/* A mistake at an entry: "KEY = VALUE: TEXT". */
void reg_entry_error(struct reg *r, const struct reg_entry *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Nodes that share a mistake, to be named in one message. */
struct reg_names {
	char **names;
	size_t n;
};
void reg_names_add(struct reg *r, struct reg_names *l, const struct reg_node *n);
const char *reg_names_text(struct reg *r, const struct reg_names *l);     /* "n[01-03]", the arena's */

static inline uint32_t reg_mask(unsigned prefix)
{
	return prefix ? ~0u << (32 - prefix) : 0;
}

static inline uint32_t reg_host(struct in_addr a)
{
	return ntohl(a.s_addr);
}
