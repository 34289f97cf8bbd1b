/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Would this host's packet filter let a machine's first packet in? Rules as 'nft -j list ruleset' (libnftables-json(5)) or
 * 'iptables -S' print them. Pure: texts in, a verdict out. What a rule asks that is not known here (a source address, a named set, a mark) is
 * taken in favour of the packet: a false alarm would teach people to look away.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "libssi/base/err.h"

struct packetfilter_packet {
	bool tcp;                    /* else UDP */
	uint16_t port;               /* destination */
	const char *interface;       /* it comes in by */
};

/* The rules by chain; the caller's. -EBADMSG when the text is not of that kind. */
int packetfilter_parse_nft(const char *text, json_t **ret, struct ssi_err *e);
int packetfilter_parse_iptables(const char *text, json_t **ret, struct ssi_err *e);
/* True when an input chain drops or rejects it; ret_where then (may be NULL) is "chain input of table inet filter", borrowed from rules. */
bool packetfilter_drops(const json_t *rules, const struct packetfilter_packet *p, const char **ret_where);
