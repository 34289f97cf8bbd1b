/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Ethernet (EUI-48) addresses as text. */
#define SSI_MAC_LEN 18      /* "52:54:00:12:34:56" and a NUL */
/* Accepts ':' or '-' between the pairs, any case (and "01-"-less PXE form); writes lower case with ':'. Multicast and all-zero
 * addresses are refused: no NIC has one. 0 or -EINVAL. */
int ssi_mac_parse(const char *s, char ret[SSI_MAC_LEN]);
