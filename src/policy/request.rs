//! What is being asked: who, which action, on which resource.
