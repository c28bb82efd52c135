// SPDX-License-Identifier: Apache-2.0
//
// The bootstrap message of runc 1.2 and newer: a netlink message that never sees a netlink socket.
// Bytes in, a Bootstrap or an error out; nothing else happens here.

#pragma once

#include "base.h"
#include "bootstrap.h"
#include "error.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nsenter {

/// The header: u32 length of the whole message, u16 type, and ten bytes that are ignored, all in
/// host byte order (netlink(7)).
inline constexpr std::size_t kMessageHeaderSize = 16;
inline constexpr std::uint16_t kBootstrapMessageType = 62000;

/// More than the attributes of any real parent can fill (ten of 64 KiB), and little enough to map.
inline constexpr std::size_t kMessageSizeLimit = 16U << 20U;

/// True if a message whose first bytes these are says that it is a bootstrap message.
bool HasBootstrapType(std::string_view start);

/// The length of the whole message, from its header of kMessageHeaderSize bytes.
Result<std::size_t> ParseMessageHeader(std::string_view header);

/// The Bootstrap that is in the attributes of a message: all bytes after its header. Its texts lie
/// there. The core does nothing for a message with an error, so this checks all that can be checked
/// without the kernel.
Result<Bootstrap> ParseAttributes(std::string_view attributes);

/// The same for a whole message, header included.
Result<Bootstrap> ParseMessage(std::string_view message);

}  // namespace nsenter
