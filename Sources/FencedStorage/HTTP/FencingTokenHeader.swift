// SPDX-License-Identifier: Apache-2.0

#if Hummingbird

    public import HTTPTypes
    public import Redlock

    extension HTTPField.Name {
        /// `Fencing-Token`: the token that a request is made under, in decimal digits.
        public static let fencingToken = HTTPField.Name("Fencing-Token").unsafelyUnwrapped
    }

    extension HTTPFields {
        /// Tells the receiver of a request which grant it is made under.
        public mutating func setFencingToken(of grant: some FencedGrant) {
            self[.fencingToken] = "\(grant.fencingToken)"
        }
    }

#endif
