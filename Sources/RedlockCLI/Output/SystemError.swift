// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the operating system says.
enum SystemError {
    /// The error in words that go behind a colon.
    static func text(of number: Int32) -> String {
        String(cString: strerror(number)).lowercased()
    }
}
