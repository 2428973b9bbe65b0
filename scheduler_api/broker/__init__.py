"""Publishing to the message broker, in beat: transports, channels, frames, message templates."""
