<?php

namespace Acme\Clock;

use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpKernel\Kernel as Base;
use Symfony\Component\Routing\Attribute\Route;

final class Kernel extends Base
{
    use MicroKernelTrait;

    #[Route('/')]
    public function weekday(): JsonResponse
    {
        return new JsonResponse(['weekday' => date('l', 1_000_000_000)]);
    }
}
