namespace Catalog.Unused;

public static class Nothing;
