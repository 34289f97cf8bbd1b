/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The packet filter's table that closes this master to machines, by their Ethernet address: as text for nft(8), and read back from its JSON. Pure.
 * What a machine needs for coming up afresh stays open: DHCP, TFTP, the boot server's HTTP, ccm, ICMP. NFS and iSCSI are not among it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"
#include "libssi/model/mac.h"

#define DOORS_TABLE "ssi-fence"

struct doors_list { char (*mac)[SSI_MAC_LEN]; size_t n; };       /* sorted, each once */
int doors_list_add(struct doors_list *l, const char *mac);        /* 1 new, 0 there already, -ENOMEM */
bool doors_list_has(const struct doors_list *l, const char *mac);
bool doors_list_equal(const struct doors_list *a, const struct doors_list *b);
void doors_list_free(struct doors_list *l);
#define _cleanup_doors_ SSI_CLEANUP(doors_list_free)

/* The script that makes it so, in one transaction, whatever was there; without a machine no table stays. */
int doors_script(const struct doors_list *closed, uint16_t http_port, uint16_t ccm_port, struct ssi_buf *ret);
/* What 'nft -j list table inet ssi-fence' prints: who is shut out. -EBADMSG: the table is not as doors_script makes it, and may let anyone through. */
int doors_parse(const char *json, struct doors_list *ret, struct ssi_err *e);
